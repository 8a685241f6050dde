"""docs/control-flow.md, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxproof import export_model
from onnxproof.check.stage import check_in_child
from onnxproof.errors import ExportError
from onnxproof.export.hints import against_refusal
from onnxproof.records import CheckResult, Run
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import Spec, StrategyName, parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROOT, work_in

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGE = {"image": "float32[batch, 2, size, size]"}
COUNTED = {**IMAGE, "count": "int64[] in 0..5"}
NUMBERED = {**IMAGE, "count": "int in 0..5"}
SPECIALIZED = (
    "contract: input 'count' is not in the graph; its example value was baked in, so any other "
    "value gives wrong numbers"
)


def spec_for(factory: str, inputs: dict[str, str], **source: Any) -> Spec:
    return parse_spec(
        {
            "name": factory.replace("_", "-"),
            "source": {"factory": f"examples.control_flow:{factory}", **source},
            "inputs": inputs,
            "dims": {"batch": {"max": 4}, "size": {"min": 3, "max": 9}},
            "check": {"samples": 3},
            "benchmark": {"samples": 2},
        }
    )


def proven(folder: Path, spec: Spec, strategy: StrategyName) -> tuple[list[str], CheckResult, str]:
    """Operators of the graph, the verdicts on it, and the line that they blame."""
    work = work_in(folder)
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    check = check_in_child(Run(spec, work, loaded), candidate)
    where, _ = against_refusal(candidate, check)
    return list(operators(onnx.load(work.path(candidate.model.path)).graph)), check, where


def operators(graph: onnx.GraphProto) -> Iterator[str]:
    """Operator types, those of a body between ``(`` and ``)``; constants left out."""
    for node in graph.node:
        if node.op_type not in ("Constant", "Identity", "Cast", "Squeeze"):
            yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from ("(", *operators(attribute.g), ")")


def line_of(text: str) -> str:
    lines = Path(ROOT, "examples", "control_flow.py").read_text(encoding="utf-8").splitlines()
    return f"examples/control_flow.py:{lines.index(text) + 1}"


@pytest.mark.parametrize("strategy", ["dynamo", "trace", "script"])
def test_a_constant_count_is_unrolled_by_every_strategy(
    tmp_path: Path, strategy: StrategyName
) -> None:
    for count in (2, 3):
        folder = tmp_path / str(count)
        spec = spec_for("rounds", IMAGE, kwargs={"count": count})
        found, check, _ = proven(folder, spec, strategy)
        assert found == ["Conv", "Tanh"] * count
        assert check.proven


def test_scripting_keeps_a_count_that_is_data_as_one_loop(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("counted_rounds", COUNTED), "script")
    assert found == ["Loop", "(", "Conv", "Tanh", ")"]
    assert check.proven


def test_several_counts_are_compared_and_both_ends_of_the_range(tmp_path: Path) -> None:
    load(spec_for("counted_rounds", COUNTED), work_in(tmp_path))
    counts = [int(read_set(path)[0]["count"]) for path in tmp_path.glob("test_data_set_*")]
    assert {0, 5} < set(counts)


def test_tracing_bakes_the_count_in_and_the_check_names_input_and_line(tmp_path: Path) -> None:
    found, check, where = proven(tmp_path, spec_for("counted_rounds", COUNTED), "trace")
    assert found == ["Conv", "Tanh"] * 5
    assert check.reason == SPECIALIZED
    assert where == line_of("        for _ in range(int(count)):")


def test_tracing_keeps_the_loop_of_a_scripted_function(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("partly_scripted", COUNTED), "trace")
    assert found == ["Conv", "Loop", "(", "Tanh", ")"]
    assert check.proven


def test_torch_export_refuses_a_tensor_as_a_count(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Could not extract specialized integer") as caught:
        proven(tmp_path, spec_for("counted_rounds", COUNTED), "dynamo")
    assert caught.value.where == line_of("        for _ in range(int(count)):")
    assert "torch.while_loop" in caught.value.hint


def test_torch_export_keeps_a_while_loop(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("while_rounds", COUNTED), "dynamo")
    assert found == ["Less", "Loop", "(", "Add", "Conv", "Tanh", "Less", ")"]
    assert check.proven


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_a_python_number_is_specialized_by_all_but_scripting(
    tmp_path: Path, strategy: StrategyName
) -> None:
    found, check, _ = proven(tmp_path, spec_for("numbered_rounds", NUMBERED), strategy)
    assert found == ["Conv", "Tanh"] * 5
    assert check.reason == SPECIALIZED


def test_scripting_makes_an_input_of_a_python_number(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("numbered_rounds", NUMBERED), "script")
    assert found == ["Loop", "(", "Conv", "Tanh", ")"]
    assert check.proven


def test_a_branch_over_data_is_kept_by_scripting(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("branch", IMAGE), "script")
    assert found == ["ReduceMean", "Greater", "If", "(", "Mul", ")", "(", "Mul", ")"]
    assert check.proven


def test_a_branch_over_data_is_lost_by_tracing(tmp_path: Path) -> None:
    found, check, where = proven(tmp_path, spec_for("branch", IMAGE), "trace")
    assert found == ["Mul"]
    assert check.reason.startswith("parity: output 'output' differs by ")
    assert where == line_of("        if image.mean() > 0:")


def test_torch_export_keeps_a_cond(tmp_path: Path) -> None:
    found, check, _ = proven(tmp_path, spec_for("cond_branch", IMAGE), "dynamo")
    assert found == ["ReduceMean", "Greater", "If", "(", "Mul", ")", "(", "Mul", ")"]
    assert check.proven


def test_the_chain_finds_by_itself_the_strategy_that_is_right(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    outcome = export_model(spec_for("counted_rounds", COUNTED), promote="never")
    assert outcome.proof is not None
    tried = {attempt.label: attempt for attempt in outcome.proof.attempts}
    assert outcome.proof.chosen.strategy == "script"
    assert tried["trace"].reason == SPECIALIZED
    assert tried["trace"].where == tried["dynamo"].where != ""
    assert np.isfinite(outcome.proof.check.parity[0].max_abs_diff)
