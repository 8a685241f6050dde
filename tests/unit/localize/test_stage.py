from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

from onnxproof.errors import ExportError
from onnxproof.export.stage import export_onnx
from onnxproof.graph.source_map import modules_named_in, modules_of, read_source_map, scope_of
from onnxproof.localize import eager_values, reproducer
from onnxproof.localize import program_values as of_program
from onnxproof.localize.stage import localize, localize_in_child
from onnxproof.records import Candidate, Divergence, Run
from onnxproof.spec import StrategyName
from tests.helpers.damages import (
    DAMAGES,
    Damage,
    Exported,
    Refused,
    added,
    damaged,
    one_weight,
    other_gelu,
    runs_alone,
    swapped_operands,
)
from tests.helpers.graphs import export, load
from tests.helpers.model_to_damage import line_of
from tests.helpers.specs import spec_of, work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")
NET: dict[str, Any] = {
    "source": {"factory": "tests.helpers.model_to_damage:build"},
    "inputs": {"x": "float32[batch, seq, 8]"},
    "dims": {"batch": {"max": 4}, "seq": {"min": 3, "max": 9}},
    "check": {"samples": 1, "tolerance": {"atol": 1e-5, "rtol": 1e-5}},
}


class Walked(NamedTuple):
    """A damaged graph, and what was found."""

    damage: Damage
    request: Refused
    found: Divergence


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    spec, work = spec_of(**NET), work_in(tmp_path_factory.mktemp("exported"))
    loaded = load(spec, work)
    strategies: tuple[StrategyName, ...] = ("dynamo", "trace")
    candidates: dict[str, Candidate] = {
        strategy: export(spec, work, loaded, strategy) for strategy in strategies
    }
    # In a child: the scopes of whatever is scripted after a ModuleList lack names of containers.
    candidates["script"] = export_onnx(Run(spec, work, loaded), "script")
    return Exported(spec, work, loaded, candidates)


@pytest.fixture(
    scope="module",
    params=[(strategy, damage) for strategy in ("dynamo", "trace") for damage in DAMAGES],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def walked(
    request: pytest.FixtureRequest, exported: Exported, tmp_path_factory: pytest.TempPathFactory
) -> Walked:
    strategy, damage = request.param
    asked = damaged(exported, strategy, damage, tmp_path_factory.mktemp("damaged"))
    return Walked(damage, asked, localize_in_child(*asked))


def test_the_damaged_node_is_named_with_its_module_and_its_line(walked: Walked) -> None:
    damage, request, found = walked
    operator, module, line = DAMAGES[damage]
    assert (found.operator, found.module, found.line) == (operator, module, line_of(line))
    assert found.against == "PyTorch"
    assert found.max_abs_diff is not None
    assert found.budget is not None
    assert found.max_abs_diff > found.budget
    assert found.worst_set == request.check.parity[0].worst_set
    assert len(found.among) == (1 if damage is one_weight else 0)


def test_the_minimal_model_is_wrong_alone_on_right_inputs(walked: Walked) -> None:
    _, request, found = walked
    assert found.reproduces is True
    given, wanted = runs_alone(request, found)
    assert given.shape != wanted.shape or not np.allclose(given, wanted, rtol=1e-5, atol=1e-5)
    assert found.reproducer is not None
    model = onnx.load(request.run.work.path(found.reproducer.path))
    kinds = [node.op_type for node in model.graph.node]
    assert len([kind for kind in kinds if kind not in ("Constant", "Identity")]) <= 2


def test_in_a_scripted_graph_the_damaged_node_is_named(exported: Exported, tmp_path: Path) -> None:
    found = localize_in_child(*damaged(exported, "script", swapped_operands, tmp_path))
    assert (found.operator, found.module, found.line) == ("Sub", "layers.1", line_of("sub"))


def test_a_branch_that_leads_to_the_fault_only_is_not_blamed_for_it(tmp_path: Path) -> None:
    # The factor as floats has the shape of the norm's mean, and PyTorch has no tensor of it.
    rows = {"x": "float32[batch, seq, 8]", "times": "int64[batch, seq] in 2..5"}
    fields = {**NET, "source": {"factory": "tests.helpers.model_to_damage:times"}, "inputs": rows}
    spec, work = spec_of(**fields), work_in(tmp_path / "exported")
    Path(work.folder).mkdir()
    loaded = load(spec, work)
    exported = Exported(spec, work, loaded, {"trace": export(spec, work, loaded, "trace")})
    (tmp_path / "damaged").mkdir()
    request = damaged(exported, "trace", added, tmp_path / "damaged")
    found = localize_in_child(*request)
    assert (found.operator, found.line) == ("Add", line_of("times"))


def test_where_the_program_cannot_be_run_values_are_compared_without_names(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_program(*_: object) -> None:
        raise ExportError("no")

    monkeypatch.setattr(of_program, "exported_program", no_program)
    found = localize_in_child(*damaged(exported, "dynamo", other_gelu, tmp_path))
    assert (found.operator, found.line) == ("Gelu", line_of("gelu"))


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_a_large_model_is_walked_in_chunks(
    strategy: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxproof.localize import walk

    monkeypatch.setattr(walk, "FIRST_CHUNK", 2)
    monkeypatch.setattr(walk, "CHUNK_BYTES", 1)
    monkeypatch.setattr(of_program, "KEPT_BYTES", 100)
    found = localize_in_child(*damaged(exported, strategy, swapped_operands, tmp_path))
    assert (found.operator, found.module) == ("Sub", "layers.1")


def test_a_minimal_model_that_is_too_large_is_not_saved_and_the_record_says_so(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproducer, "MAX_BYTES", 100)
    found = localize_in_child(*damaged(exported, "dynamo", other_gelu, tmp_path))
    assert (found.operator, found.reproducer, found.reproduces) == ("Gelu", None, None)
    assert "so none was saved" in found.reason


def test_values_that_take_too_much_memory_are_a_reason(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eager_values, "MAX_BYTES", 100)
    with pytest.raises(MemoryError, match="take more than"):
        localize_in_child(*damaged(exported, "trace", other_gelu, tmp_path))


def test_no_line_of_this_machine_is_in_the_graph_that_travels(exported: Exported) -> None:
    for candidate in exported.candidates.values():
        text = Path(exported.work.path(candidate.model.path)).read_bytes()
        assert b"tests/helpers/model_to_damage.py" not in text
        assert b"site-packages" not in text
        places = read_source_map(exported.work, candidate.label)
        assert line_of("sub") in {place.line for place in places.values()}


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("/layers.0/fc/MatMul", "layers.0.fc"),
        ("/seq/seq.1/inner/Conv", "seq.1.inner"),
        ("/fc_1/MatMul", "fc"),
        ("/conv_1/Conv", "conv_1"),
        ("/Slice", ""),
        ("Identity_3", ""),
    ],
)
def test_a_scope_is_the_path_of_its_module(name: str, module: str) -> None:
    known = ("layers", "layers.0", "layers.0.fc", "seq.1.inner", "fc", "conv_1")
    assert scope_of(name, known) == module


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"seconds": 0.01}, "could not be localized: 0.01 s were not enough"),
        ({"memory_gb": 0.01}, "could not be localized: localize used"),
    ],
    ids=["slow", "large"],
)
def test_a_walk_that_breaks_is_a_reason_and_no_error(
    limits: dict[str, float], reason: str, exported: Exported, tmp_path: Path
) -> None:
    request = damaged(exported, "dynamo", other_gelu, tmp_path)
    spec = request.run.spec
    spec = spec.model_copy(update={"limits": spec.limits.model_copy(update=limits)})
    found = localize(replace(request.run, spec=spec), request.candidate, request.check)
    assert found.tensor == ""
    assert found.reason.startswith(reason)


def test_the_stage_runs_in_a_child(exported: Exported, tmp_path: Path) -> None:
    request = damaged(exported, "dynamo", other_gelu, tmp_path)
    found = localize(*request)
    assert (
        found.sentence == f"first wrong at node node_gelu_1 (Gelu) in layers.1, {line_of('gelu')}"
    )


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_an_exported_file_tells_its_modules_by_itself(exported: Exported, strategy: str) -> None:
    candidate = exported.candidates[strategy]
    path = Path(exported.work.path(candidate.model.path))
    message, noted = modules_named_in(path), modules_of(exported.work, candidate.label)
    within = {
        name: module.removeprefix("model.") for name, module in message.items()
    }  # a wrapper's
    known = {name: module for name, module in noted.items() if module}
    assert known
    assert {name: within[name] for name in known} == known
