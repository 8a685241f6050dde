from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from onnxproof.benchmark.stage import measure_in_child
from onnxproof.check.stage import check_in_child
from onnxproof.errors import ExportError, SpecError
from onnxproof.export.dynamo import dynamic_shapes
from onnxproof.export.stage import export_in_child, export_onnx
from onnxproof.isolation.child import prepare_children
from onnxproof.localize.stage import localize_in_child
from onnxproof.pipeline.refusal_message import refuse
from onnxproof.pipeline.search import search_candidates
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    CheckResult,
    Divergence,
    Run,
    SearchResult,
    SimplifierName,
    Work,
)
from onnxproof.samples.grid import dynamic_axes
from onnxproof.simplify.stage import simplify_in_child
from onnxproof.spec import Spec, StrategyName
from tests.helpers.graphs import load
from tests.helpers.specs import ROOT, spec_of, work_in

# What exporters say of themselves, and of toys that bake things in.
pytestmark = pytest.mark.filterwarnings("ignore")
TOKENS: dict[str, Any] = {
    "inputs": {
        "input_ids": "int64[batch, seq] in 0..49",
        "attention_mask": "int64[batch, seq] mask",
    },
    "dims": {"batch": {"max": 4}, "seq": {"max": 8}},
}
REPEAT: dict[str, Any] = {
    "inputs": {"x": "float32[batch, 4]", "steps": "int64[] in 1..4"},
    "dims": {"batch": {"max": 8}},
}
SCALED = """
import torch

class Scaled(torch.nn.Module):
    def forward(self, k: int, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x * k + y

def scaled():
    return Scaled()
"""


class Here:
    """The real stages, in this process."""

    def __init__(self, spec: Spec, work: Work) -> None:
        self.run = Run(spec, work, load(spec, work))

    def export(self, run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
        return export_in_child(run, strategy, variant)

    def simplify(self, run: Run, candidate: Candidate, simplifier: SimplifierName) -> Candidate:
        return simplify_in_child(run, candidate, simplifier)

    def check(self, run: Run, candidate: Candidate) -> CheckResult:
        return check_in_child(run, candidate)

    def localize(
        self, run: Run, candidate: Candidate, check: CheckResult, plain: Candidate | None = None
    ) -> Divergence:
        return localize_in_child(run, candidate, check, plain)

    def benchmark(self, run: Run, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        return measure_in_child(run.spec, run.work, candidates)

    def model(self, candidate: Candidate) -> onnx.ModelProto:
        return onnx.load(self.run.work.path(candidate.model.path))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = work_in(tmp_path, tmp_path)
    return work.model_copy(update={"metadata": {"onnxproof.flow_version": "0.1.0+gtest"}})


def searched(work: Work, factory: str, **sections: Any) -> SearchResult:
    spec = spec_of(factory, benchmark={"samples": 2}, **sections)
    stages = Here(spec, work)
    return search_candidates(stages.run, stages)


def reasons(search: SearchResult) -> dict[str, str]:
    return {attempt.label: attempt.reason for attempt in search.attempts}


def shape_of(value: onnx.ValueInfoProto) -> list[str | int]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize(("factory", "sections"), [("linear", {}), ("tokens", TOKENS)])
def test_what_dynamo_gives_is_proven_from_end_to_end(
    work: Work, factory: str, sections: dict[str, Any]
) -> None:
    search = searched(work, factory, export={"strategies": ["dynamo"]}, **sections)
    assert [attempt.label for attempt in search.attempts if attempt.check and attempt.check.proven][
        :2
    ] == [
        "dynamo",
        "dynamo+onnxsim",
    ]
    assert search.chosen is not None
    assert search.chosen.model.unchanged(work.folder)
    assert search.check is not None
    assert search.check.proven
    assert search.benchmark is not None
    timed = [latency.runner for latency in search.benchmark.latencies]
    assert timed[:2] == ["pytorch eager", "dynamo"]
    assert search.chosen.label in timed


@pytest.mark.parametrize("strategy", ["dynamo", "trace", "script"])
def test_a_graph_has_the_names_the_opset_and_the_stamp_that_were_chosen(
    work: Work, strategy: StrategyName
) -> None:
    spec = spec_of(export={"min_onnxruntime": "1.16", "opset": 18}, outputs={"scores": {}})
    stages = Here(spec, work)
    candidate = stages.export(stages.run, strategy)
    model = stages.model(candidate)
    assert (candidate.label, candidate.opset) == (strategy, 18)
    assert [opset.version for opset in model.opset_import if not opset.domain] == [18]
    assert candidate.ir_version == model.ir_version <= 9
    assert [graph_input.name for graph_input in model.graph.input] == ["x"]
    assert [graph_output.name for graph_output in model.graph.output] == ["scores"]
    assert shape_of(model.graph.input[0]) == ["batch", 4]
    assert shape_of(model.graph.output[0]) == ["batch", 3]
    stamp = {prop.key: prop.value for prop in model.metadata_props}
    assert stamp["onnxproof.flow_version"] == "0.1.0+gtest"


@pytest.mark.parametrize("strategy", ["dynamo", "trace", "script"])
def test_a_graph_names_no_place_of_this_machine(work: Work, strategy: StrategyName) -> None:
    stages = Here(spec_of(), work)
    written = Path(work.path(stages.export(stages.run, strategy).model.path)).read_bytes()
    for place in (ROOT, Path(work.folder), Path(torch.__file__).parent):
        assert str(place).encode() not in written


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_two_dims_stand_where_the_spec_has_them(work: Work, strategy: StrategyName) -> None:
    stages = Here(spec_of("tokens", **TOKENS), work)
    graph = stages.model(stages.export(stages.run, strategy)).graph
    for value in graph.input:
        assert shape_of(value) == ["batch", "seq"]
    shapes = {value.name: shape_of(value) for value in graph.output}
    assert shapes == {"hidden": ["batch", "seq", 8], "pooled": ["batch", 8]}


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_a_static_graph_is_fixed_at_the_example_and_proven_there(
    work: Work, strategy: StrategyName
) -> None:
    spec = spec_of(dims={"batch": {"max": 8, "example": 5}}, export={"static": True})
    stages = Here(spec, work)
    candidate = stages.export(stages.run, strategy)
    assert shape_of(stages.model(candidate).graph.input[0]) == [5, 4]
    assert stages.check(stages.run, candidate).reason == ""


def test_tracing_bakes_a_count_in_and_the_check_names_the_input(work: Work) -> None:
    search = searched(work, "repeat", export={"strategies": ["trace"]}, **REPEAT)
    assert search.chosen is None
    assert reasons(search)["trace"] == (
        "contract: input 'steps' is not in the graph; its example value was baked in, "
        "so any other value gives wrong numbers"
    )


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("dynamo", "contract: input 'x' axis 0 is fixed at 3, declared dynamic (batch)"),
        ("trace", "parity: output 'output' differs by "),
    ],
)
def test_a_batch_size_that_was_specialized_is_refused(
    work: Work, strategy: StrategyName, reason: str
) -> None:
    stages = Here(spec_of("bakes_batch"), work)
    result = stages.check(stages.run, stages.export(stages.run, strategy))
    assert not result.proven
    assert result.reason.startswith(reason)


def test_a_python_number_that_dynamo_bakes_in_is_missed_by_its_own_name(work: Work) -> None:
    Path(work.folder, "toys_with_numbers.py").write_text(SCALED)
    spec = spec_of(
        source={"factory": "toys_with_numbers:scaled"},
        inputs={"k": "int in 1..4", "x": "float32[batch, 4]", "y": "float32[batch, 4]"},
        dims={"batch": {"max": 8}},
    )
    stages = Here(spec, work)
    candidate = stages.export(stages.run, "dynamo")
    assert [graph_input.name for graph_input in stages.model(candidate).graph.input] == ["x", "y"]
    assert stages.check(stages.run, candidate).reason == (
        "contract: input 'k' is not in the graph; its example value was baked in, "
        "so any other value gives wrong numbers"
    )


def test_a_module_that_no_strategy_takes_is_an_export_error_in_the_users_own_words(
    work: Work,
) -> None:
    search = searched(work, "breaks")
    words = "NotImplementedError: this module does not want to leave PyTorch"
    found = reasons(search)
    assert list(found) == ["dynamo", "trace", "script"]
    assert (found["dynamo"], found["trace"]) == (f"dynamo: {words}", f"trace: {words}")
    assert found["script"].startswith("script: ")  # the compiler never runs the user's raise
    with pytest.raises(ExportError, match=r"no strategy gave an ONNX graph. dynamo: .* trace: "):
        refuse(search)


def test_an_opset_that_the_runtime_does_not_load_is_bad_input(work: Work) -> None:
    stages = Here(spec_of(export={"opset": 21, "min_onnxruntime": "1.17"}), work)
    with pytest.raises(SpecError, match=r"export.opset 21 is newer than ONNX Runtime 1.17"):
        stages.export(stages.run, "dynamo")


def test_an_export_in_a_child_gives_the_same_and_leaves_a_log(work: Work) -> None:
    spec = spec_of()
    prepare_children()
    candidate = export_onnx(Run(spec, work, load(spec, work)), "trace")
    assert (candidate.label, candidate.nodes) == ("trace", 1)
    assert candidate.model.unchanged(work.folder)
    assert Path(work.path("logs", "export-trace.log")).is_file()


def test_only_sizes_that_vary_are_dynamic_axes() -> None:
    spec = spec_of(
        inputs={"x": "float32[batch, 3, 2*seq]", "y": "float32[one]", "n": "int in 1..3"},
        dims={"batch": {"max": 8}, "seq": {"max": 8}, "one": {"min": 4, "max": 4}},
    )
    assert dynamic_axes(spec) == {"x": {0: "batch", 2: "2*seq"}, "y": {}, "n": {}}


def test_dynamic_shapes_hold_the_range_and_the_step_of_a_dim() -> None:
    spec = spec_of(
        inputs={"x": "float32[batch, seq]", "y": "float32[4]"},
        dims={"batch": {"max": 8}, "seq": {"min": 10, "max": 30, "multiple_of": 8}},
    )
    shapes = dynamic_shapes(spec)
    assert (shapes["x"][0].__name__, shapes["x"][0].min, shapes["x"][0].max) == ("batch", 1, 8)
    assert (shapes["x"][1].root.__name__, shapes["x"][1].fn(2)) == ("seq_8th", 16)
    assert (shapes["x"][1].root.min, shapes["x"][1].root.max) == (2, 3)
    assert shapes["y"] is None
