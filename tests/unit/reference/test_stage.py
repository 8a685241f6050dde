from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from onnxproof.errors import LoadError, OnnxproofError, ReferenceRefused, SourceError, SpecError
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.load import load_source
from onnxproof.progress import Step, listen
from onnxproof.records import Loaded
from onnxproof.reference.stage import build_reference
from onnxproof.source.module import build_module, state_digest
from tests.helpers.specs import spec_of, work_in


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    prepare_children()


def load(folder: Path, factory: str = "linear", **sections: Any) -> Loaded:
    (folder / "logs").mkdir(exist_ok=True)
    return load_source(spec_of(factory, **sections), work_in(folder, folder))


def refusal(
    folder: Path, error: type[OnnxproofError], factory: str = "linear", **sections: Any
) -> OnnxproofError:
    with pytest.raises(error) as caught:
        load(folder, factory, **sections)
    return caught.value


def test_a_module_is_built_and_its_reference_saved(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.module_class == "tests.helpers.models.Linear"
    assert (found.parameters, found.weights_bytes, found.call) == (15, 60, "keyword")
    assert found.reference.metric is None
    assert found.seconds > 0
    saved = [name for point in found.reference.points for name in point.sets]
    assert saved
    assert all((tmp_path / found.reference.folder / name).is_dir() for name in saved)


def test_the_child_has_the_weights_that_any_other_process_has(tmp_path: Path) -> None:
    built = build_module(spec_of(), work_in(tmp_path))
    assert load(tmp_path).weights_sha256 == state_digest(built.module)[0]


def test_a_load_tells_what_it_is_doing(tmp_path: Path) -> None:
    steps: list[Step] = []
    with listen(steps.append):
        found = load(tmp_path)
    answer = [step for step in steps if step.text.startswith("PyTorch at batch=")]
    total = len([point for point in found.reference.points if point.values == "seeded"])
    assert [(step.stage, step.done, step.total) for step in answer] == [
        ("load", done, total) for done in range(total)
    ]
    assert answer[0].text == "PyTorch at batch=1"


def test_pytorchs_score_on_the_dataset_is_kept(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    module = build_module(spec_of(), work_in(tmp_path)).module
    labels = module(torch.from_numpy(rows)).argmax(-1).numpy()
    labels[0] = (labels[0] + 1) % 3
    np.savez(tmp_path / "rows.npz", x=rows, y=labels)
    dataset = {"path": "rows.npz", "inputs": {"x": "x"}, "labels": "y"}
    metric = load(tmp_path, dataset=dataset).reference.metric
    assert metric is not None
    assert (metric.name, metric.rows, metric.pytorch, metric.onnx) == ("top1", 10, 0.9, None)


def test_a_model_that_raises_on_the_dataset_is_reported_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros((5, 9), np.float32), y=np.zeros(5, np.int64))
    dataset = {"path": "rows.npz", "inputs": {"x": "x"}, "labels": "y"}
    with pytest.raises(LoadError, match="forward raised at dataset rows=5, which"):
        build_reference(spec_of(dataset=dataset), work_in(tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("factory", "sections", "end", "message"),
    [
        (
            "raises",
            {},
            "error",
            "factory tests.helpers.models:raises raised RuntimeError: the factory is",
        ),
        (
            "returns_text",
            {},
            "error",
            "factory tests.helpers.models:returns_text returned str, not a torch",
        ),
        ("exits", {}, "error", "load failed: the code called sys.exit(7)"),
        ("leaves", {}, "crash", "load ended its process with exit code 7 before it gave a result"),
        ("hangs", {"limits": {"seconds": 0.5}}, "timeout", "load did not finish within 0.5 s and"),
        (
            "eats_memory",
            {"limits": {"memory_gb": 0.8}},
            "out_of_memory",
            "more than limits.memory_gb = 0.8, and was killed; raise the limit if the model needs",
        ),
    ],
)
def test_a_factory_that_never_gives_a_module_ends_as_a_failed_load(
    tmp_path: Path, factory: str, sections: dict[str, Any], end: str, message: str
) -> None:
    start = time.monotonic()
    error = refusal(tmp_path, LoadError, factory, **sections)
    assert isinstance(error, LoadError)
    assert message in str(error)
    assert (error.end, error.exit_code) == (end, 3)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("nan", "PyTorch itself gives nan in output 'output' at batch=1"),
        ("dropout_on", "differently on every call, first in forward (DropoutOn); turn dropout off"),
    ],
)
def test_a_model_that_is_no_reference_is_refused_with_exit_code_4(
    tmp_path: Path, factory: str, message: str
) -> None:
    error = refusal(tmp_path, ReferenceRefused, factory)
    assert message in str(error)
    assert error.exit_code == 4


@pytest.mark.parametrize(
    ("error", "sections"),
    [
        (SourceError, {"source": {"weights": {"path": "none.safetensors"}}}),
        (SourceError, {"source": {"factory": "os:getcwd"}}),
        (SpecError, {"inputs": {"y": "float32[2, 4]", "z": "float32[2, 4]"}}),
        (SpecError, {"outputs": {"a": {}, "b": {}}}),
    ],
    ids=["weights", "code", "inputs", "outputs"],
)
def test_bad_input_keeps_its_class_and_exit_code_on_the_way_out_of_the_child(
    tmp_path: Path, error: type[OnnxproofError], sections: dict[str, Any]
) -> None:
    assert refusal(tmp_path, error, **sections).exit_code == 2


def test_what_the_model_prints_is_in_the_log(tmp_path: Path) -> None:
    refusal(tmp_path, LoadError, "leaves")
    assert (tmp_path / "logs" / "load.log").is_file()
