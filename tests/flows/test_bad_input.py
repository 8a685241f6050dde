"""Bad input gets its exit code and one paragraph; nothing is registered, nothing half written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from safetensors.torch import save_file

from flows.cli import app
from tests.flows.conftest import Ended
from tests.helpers import models

pytestmark = pytest.mark.prefect
Program = Callable[..., Ended]
WriteSpec = Callable[..., Path]


def source(factory: str, **rest: Any) -> dict[str, Any]:
    return {"source": {"factory": f"tests.helpers.models:{factory}", **rest}}


def weights(path: str, **rest: Any) -> dict[str, Any]:
    return source("linear", weights={"path": path, **rest})


class WritesMarker:
    """A pickle of it runs code when it is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.marker, "the pickle ran"))


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Checkpoints beside the spec: one that fits, and some that do not."""
    state = models.linear().state_dict()
    save_file(state, tmp_path / "good.safetensors")
    save_file({"layer.weight": state["layer.weight"]}, tmp_path / "missing.safetensors")
    save_file({**state, "head.bias": torch.zeros(2)}, tmp_path / "unexpected.safetensors")
    save_file({**state, "layer.bias": torch.zeros(5)}, tmp_path / "shape.safetensors")
    torch.save({"x": WritesMarker(tmp_path / "marker")}, tmp_path / "code.pt")


def nothing_is_left(home: Path) -> bool:
    """No version, no unfinished run, no work folder but of a run that got past its input."""
    client = MlflowClient(tracking_uri=f"sqlite:///{home}/mlflow.db")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )
    return not client.search_registered_models() and not runs


BAD_INPUT = [
    ({"color": 1}, "color: unknown key; valid here: benchmark, check"),
    ({"check": {"samples": "many"}}, "check.samples: Input should be a valid integer"),
    ({"dims": {"batch": {"min": 9, "max": 2}}}, "dims.batch: min 9 is above max 2"),
    ({"inputs": {"x": "flaot32[batch, 4]"}}, "unknown dtype 'flaot32'; did you mean float32?"),
    (weights("gone.safetensors"), "no file gone.safetensors below"),
    (weights("../etc/passwd"), "../etc/passwd leaves"),
    (weights("good.safetensors", sha256="0" * 64), "should have sha256 000000"),
    (weights("missing.safetensors"), "do not fit the module (missing: layer.bias)"),
    (weights("unexpected.safetensors"), "do not fit the module (unexpected: head.bias)"),
    (weights("shape.safetensors"), "other shape: layer.bias is [5], the module wants [3]"),
    (weights("code.pt"), "is a pickle that would run code (getattr), and was not opened"),
    ({"source": {"factory": "os:system"}}, "package os is not allowed"),
    ({"inputs": {"y": "float32[batch, 4]", "x": "float32[batch, 4]"}}, "inputs y"),
]


@pytest.mark.parametrize(
    ("changes", "message"), BAD_INPUT, ids=[case[1][:30] for case in BAD_INPUT]
)
def test_bad_input_ends_with_2_and_says_what_is_wrong(
    onnxproof: Program,
    write_spec: WriteSpec,
    registry: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    ended = onnxproof("export", write_spec(**changes))
    assert ended.code == 2, ended.text
    assert message in ended.text
    assert ended.outcome["status"] == "failed"
    assert (ended.outcome["exit_code"], message in ended.outcome["reason"]) == (2, True)
    assert "Traceback" not in ended.text
    assert nothing_is_left(registry)
    assert not list((registry / "work").rglob("*")) or not list(
        (registry / "work" / "toy").iterdir()
    )
    assert not (tmp_path / "marker").exists()


BROKEN = [
    ("raises", "RuntimeError: the factory is out of order"),
    ("returns_text", "returned str, not a torch.nn.Module"),
    ("hangs", "did not finish within 4 s and was killed; raise limits.seconds"),
    ("exits", "called sys.exit(7)"),
    ("leaves", "ended its process with exit code 7"),
    ("eats_memory", "more than limits.memory_gb = 1"),
]


@pytest.mark.parametrize(("factory", "message"), BROKEN, ids=[case[0] for case in BROKEN])
def test_a_factory_that_breaks_ends_with_3(
    onnxproof: Program, write_spec: WriteSpec, registry: Path, factory: str, message: str
) -> None:
    limits = {"seconds": 4 if factory == "hangs" else 60, "memory_gb": 1}
    ended = onnxproof("export", write_spec(**source(factory), limits=limits))
    assert ended.code == 3, ended.text
    assert message in ended.text
    assert (ended.outcome["status"], ended.outcome["stage"]) == ("failed", "load")
    assert nothing_is_left(registry)


REFUSED = [
    ("nan", "PyTorch itself gives nan in output 'output'"),
    ("dropout_on", "the model answers the same input differently on every call"),
    ("bakes_batch", "no candidate was proven, so nothing is registered"),
]


@pytest.mark.parametrize(("factory", "message"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_model_that_cannot_be_proven_ends_with_4(
    onnxproof: Program, write_spec: WriteSpec, registry: Path, factory: str, message: str
) -> None:
    ended = onnxproof("export", write_spec(**source(factory)))
    assert ended.code == 4, ended.text
    assert message in ended.text
    assert ended.outcome["status"] == "refused"
    assert nothing_is_left(registry)


def test_no_way_out_of_pytorch_ends_with_3_and_names_every_strategy(
    onnxproof: Program, write_spec: WriteSpec, registry: Path
) -> None:
    ended = onnxproof("export", write_spec(**source("breaks"), export={}))
    assert ended.code == 3, ended.text
    for strategy in ("dynamo", "trace", "script"):
        assert f"{strategy}: " in ended.text
    assert "this module does not want to leave PyTorch" in ended.text
    assert nothing_is_left(registry)


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "PREFECT_API_URL"])
def test_a_server_that_is_down_at_the_start_ends_with_5_and_its_variable(
    onnxproof: Program, write_spec: WriteSpec, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9/api")
    ended = onnxproof("export", write_spec())
    assert ended.code == 5, ended.text
    assert "was asked for at http://127.0.0.1:9/api and does not answer" in ended.text
    assert f"correct {name}" in ended.text


def test_a_home_that_cannot_be_written_ends_with_2(
    onnxproof: Program, write_spec: WriteSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONNXPROOF_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    ended = onnxproof("export", write_spec())
    assert ended.code == 2, ended.text
    assert "set ONNXPROOF_HOME to a folder that can be written" in ended.text


def test_an_outcome_that_cannot_be_written_ends_with_2(
    onnxproof: Program, write_spec: WriteSpec, tmp_path: Path
) -> None:
    ended = onnxproof(
        "init", "tests.helpers.models:linear", "-o", tmp_path / "no" / "\0" / "x.yaml"
    )
    assert ended.code == 2


def test_a_bug_of_ours_ends_with_1_and_keeps_the_traceback(
    onnxproof: Program, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(app, "_run_flow", broken)
    ended = onnxproof("export", "digits-cnn")
    assert ended.code == 1
    assert "This is a bug in onnxproof: KeyError: 'nobody thought of this'" in ended.text
    (log,) = (registry / "errors").iterdir()
    assert "Traceback" in log.read_text()
    assert json.loads(json.dumps(ended.outcome))["exit_code"] == 1
    assert os.environ["ONNXPROOF_HOME"] == str(registry)
