"""What every test may count on: a scrubbed environment, and a home folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onnxproof.isolation.child import prepare_children
from onnxproof.records import Proof, Run
from onnxproof.settings import apply_environment, quiet_environment, read_settings
from onnxproof.spec import parse_spec

ROOT = Path(__file__).parents[1]
OURS = ("MLFLOW_", "ONNXPROOF_", "PREFECT_")
TOY: dict[str, Any] = {
    "name": "toy",
    "source": {"factory": "tests.helpers.models:linear"},
    "inputs": {"x": "float32[batch, 4]"},
    "dims": {"batch": {"max": 8}},
    "export": {"strategies": ["trace"]},
    "check": {"samples": 2},
    "benchmark": {"samples": 12},
}


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[Path]:
    """The developer's own servers and folders do not leak in, nor one test's into the next."""
    before = dict(os.environ)
    for name in [variable for variable in os.environ if variable.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(quiet_environment())
    os.environ["ONNXPROOF_HOME"] = str(tmp_path / "home")
    yield tmp_path / "home"
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables, made once: its migrations take seconds."""
    from mlflow import MlflowClient

    database = tmp_path_factory.mktemp("registry") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{database}").search_registered_models()
    return database


@pytest.fixture
def registry(empty_registry: Path, environment: Path) -> Path:
    """An empty registry in the test's own home folder."""
    environment.mkdir(parents=True, exist_ok=True)
    shutil.copy(empty_registry, environment / "mlflow.db")
    apply_environment(read_settings())
    return environment


@pytest.fixture(scope="session")
def toy_proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Proof, Path]:
    """A real proof of a tiny model, and its work folder; registered nowhere."""
    return prove_toy(TOY, tmp_path_factory.mktemp("proven"))


@pytest.fixture(scope="session")
def outside_proof(tmp_path_factory: pytest.TempPathFactory) -> tuple[Proof, Path]:
    """Likewise, of a model whose weights lie beside the graph."""
    tied = {"factory": "tests.helpers.models:tied"}
    export = {"strategies": ["trace"], "external_data": "always"}
    spec = {**TOY, "source": tied, "inputs": {"x": "int64[batch, 4] in 0..999"}, "export": export}
    return prove_toy(spec, tmp_path_factory.mktemp("outside"))


def prove_toy(spec: dict[str, Any], home: Path) -> tuple[Proof, Path]:
    """A proof by the real stages, and its work folder below ``home``."""
    from onnxproof.pipeline.direct import DirectStages
    from onnxproof.pipeline.plan import make_plan
    from onnxproof.pipeline.search import search_candidates

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("ONNXPROOF_HOME", str(home))
        prepare_children()
        plan = make_plan(parse_spec(spec), (), read_settings(), local_code=True)
        with plan.working() as work:
            stages = DirectStages()
            loaded = stages.load(plan.spec, work)
            run = Run(plan.spec, work, loaded)
            proof = stages.conclude(run, plan.key_of(loaded), search_candidates(run, stages))
            return proof, Path(work.folder)
