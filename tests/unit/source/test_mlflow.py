from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from torch import nn

from onnxproof.api import export_model, first_spec
from onnxproof.errors import SourceError
from onnxproof.pipeline.load import load_source
from onnxproof.pipeline.plan import Plan, make_plan
from onnxproof.records import Work
from onnxproof.settings import read_settings
from onnxproof.source.mlflow import FOLDER
from onnxproof.source.module import build_module
from onnxproof.spec import parse_spec
from onnxproof.tracking import fetch_source
from tests.docs.test_sources import example_of
from tests.helpers.specs import ROWS, work_in

# mlflow and torch warn of pickles, of signatures, and of each other's versions.
pytestmark = pytest.mark.filterwarnings("ignore")

NOBODY = "0" * 32


class Small(nn.Module):
    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        nn.init.constant_(self.layer.weight, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


@pytest.fixture
def logged(client: MlflowClient, registry: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Logs a model as a new version of ``digits``, as its author would."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    # Not mlflow.set_experiment, which outlives this test.
    authors = client.create_experiment("authors", registry.as_uri())

    def log(module: nn.Module, form: str = "pt2") -> tuple[str, str]:
        rows = np.ones((2, 4), dtype=np.float32)
        with mlflow.start_run(experiment_id=authors) as run:
            mlflow.pytorch.log_model(
                module,
                name="net",
                registered_model_name="digits",
                serialization_format=form,
                input_example=rows,
                pip_requirements=[],
            )
        version = client.search_model_versions("name = 'digits'")[0].version
        client.set_registered_model_alias("digits", "champion", version)
        return f"runs:/{run.info.run_id}/net", version

    return log


def plan_for(uri: str, **source: Any) -> Plan:
    spec = parse_spec({"name": "digits-onnx", "source": {"mlflow": uri, **source}, **ROWS})
    return make_plan(spec, (), read_settings(), local_code=True)


def fetched(plan: Plan, folder: Path) -> Work:
    work = work_in(folder)
    assert plan.spec.source.mlflow is not None
    fetch_source(plan.spec.source.mlflow, folder / FOLDER)
    return work


def test_an_alias_is_pinned_to_the_version_it_means_now(logged: Any) -> None:
    run_uri, version = logged(Small())
    plan = plan_for("models:/digits@champion")
    assert plan.spec.source.mlflow == f"models:/digits/{version}"
    assert plan.key is not None
    logged(Small(2.0))
    moved = plan_for("models:/digits@champion")
    assert moved.spec.source.mlflow != plan.spec.source.mlflow
    assert moved.key != plan.key
    pinned = plan_for(run_uri)
    assert pinned.spec.source.mlflow is not None
    assert pinned.spec.source.mlflow.startswith("models:/m-")


def test_a_logged_program_is_proven_and_registered_and_then_unchanged(
    logged: Any, client: MlflowClient
) -> None:
    logged(Small())
    source = example_of("mlflow")  # of docs/sources.md
    short = {"check": {"samples": 1}, "benchmark": {"samples": 2}}
    wanted = {"export": {"strategies": ["trace"]}, **short}
    spec = parse_spec({"name": "digits-onnx", "source": source, **ROWS, **wanted})
    made = export_model(spec)
    assert made.status == "proven"
    assert export_model(spec).status == "unchanged"
    assert made.registration is not None
    run = client.get_run(made.registration.run_id)
    assert (source["mlflow"], run.data.params["source.mlflow"]) == (
        "models:/digits@champion",
        "models:/digits/1",
    )


def test_a_first_spec_of_a_logged_model_keeps_the_alias(
    logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(torch.jit.script(Small()), "pickle")
    monkeypatch.chdir(tmp_path)
    written = yaml.safe_load(first_spec("mlflow:models:/digits@champion"))
    assert written == {
        "name": "digits-onnx",
        "source": {"mlflow": "models:/digits@champion"},
        "inputs": {"x": "float32[batch, 4]"},
        "dims": {"batch": {"min": 1, "max": 16}},
    }


@pytest.mark.parametrize("form", ["pt2", "script"])
def test_what_is_no_pickle_needs_no_trust(logged: Any, tmp_path: Path, form: str) -> None:
    module = torch.jit.script(Small()) if form == "script" else Small()
    logged(module, "pickle" if form == "script" else form)
    plan = plan_for("models:/digits@champion")
    built = build_module(plan.spec, fetched(plan, tmp_path / "work"))
    assert torch.equal(built.module.state_dict()["layer.weight"], torch.ones(3, 4))


def test_a_pickle_is_opened_only_with_trust(
    logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs_alone.py").write_text(
        textwrap.dedent("""
            from torch import nn

            class Net(nn.Linear):
                pass
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    theirs = __import__("theirs_alone")
    logged(theirs.Net(4, 3), "pickle")
    plan = plan_for("models:/digits@champion")
    work = fetched(plan, tmp_path / "work")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(tmp_path)])
    monkeypatch.delitem(sys.modules, "theirs_alone")
    with pytest.raises(
        SourceError, match="was logged as a pickle, which runs code when it is open"
    ):
        build_module(plan.spec, work)
    trusted = plan_for("models:/digits@champion", trust="pickle").spec
    allowed = work.model_copy(update={"roots": (str(tmp_path),)})
    assert type(build_module(trusted, allowed).model).__name__ == "Net"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (
            "models:/digits/9",
            "the registry has no models:/digits/9; of digits it has /1, @champion",
        ),
        ("models:/none@champion", "the registry has no models:/none@champion; it has digits"),
        (f"models:/m-{NOBODY}", f"models:/m-{NOBODY} cannot be fetched: "),
        ("RUN/other", "has no logged model 'other'; it has net"),
    ],
)
def test_a_model_that_is_not_there_is_reported_with_what_is(
    logged: Any, tmp_path: Path, uri: str, message: str
) -> None:
    run_uri, _ = logged(Small())
    asked = uri.replace("RUN", run_uri.removesuffix("/net"))

    def load() -> None:
        load_source(plan_for(asked).spec, work_in(tmp_path / "work"))

    with pytest.raises(SourceError) as caught:
        load()
    assert message in str(caught.value)


def test_a_model_of_another_flavor_is_reported_with_its_flavors(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "MLmodel").write_text("flavors: {onnx: {}, python_function: {}}")
    spec = parse_spec({"name": "n", "source": {"mlflow": "models:/digits/1"}, **ROWS})
    with pytest.raises(SourceError, match="has the flavors onnx, python_function, not pytorch"):
        build_module(spec, work_in(tmp_path))
