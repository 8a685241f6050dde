from __future__ import annotations

import onnx
import pytest

from onnxproof.check.contract import check_contract
from onnxproof.records import Reference, TensorRecord
from tests.helpers.graphs import DIGEST, model_of

GRAPH = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 4] x, int64[batch, seq] ids) => (float[batch, 4] y, float total)
    {
        y = Relu(x)
        total = ReduceSum <keepdims = 0> (x)
    }
"""
REFERENCE = Reference(
    folder=".",
    seed=0,
    inputs=(
        TensorRecord(name="x", dtype="float32", shape=("batch", 4)),
        TensorRecord(name="ids", dtype="int64", shape=("batch", "seq")),
    ),
    outputs=(
        TensorRecord(name="y", dtype="float32", shape=("batch", 4)),
        TensorRecord(name="total", dtype="float32", shape=()),
    ),
    points=(),
    size_bytes=0,
    digest=DIGEST,
)

SPECIALIZED = "its example value was baked in, so any other value gives wrong numbers"


def check(graph: str, reference: Reference = REFERENCE) -> tuple[str, str]:
    verdict = check_contract(model_of(graph).graph, reference)
    assert verdict.name == "contract"
    return verdict.outcome, verdict.reason


def test_a_graph_as_declared_passes_and_names_what_is_dynamic() -> None:
    assert check(GRAPH) == ("passed", "2 inputs and 2 outputs as declared, dynamic in batch, seq")


@pytest.mark.parametrize(
    ("found", "made", "reason"),
    [
        (
            ", int64[batch, seq] ids",
            "",
            f"input 'ids' is not in the graph; {SPECIALIZED}",
        ),
        (", float total", "", "output 'total' is not in the graph"),
        (
            "float[batch, 4] y, float total",
            "float total, float[batch, 4] y",
            "outputs stand as total, y, declared are y, total",
        ),
        (
            "float[batch, 4] x, int64[batch, seq] ids",
            "int64[batch, seq] ids, float[batch, 4] x",
            "inputs stand as ids, x, declared are x, ids",
        ),
        ("seq] ids", "seq] ids, float z", "input 'z' of the graph is not declared"),
        ("float total)", "float total, float w)", "output 'w' of the graph is not declared"),
        ("int64[batch, seq]", "int32[batch, seq]", "input 'ids' is int32, declared int64"),
        ("=> (float[", "=> (double[", "output 'y' is float64, declared float32"),
        ("=> (float[", "=> (float16[", "output 'y' is float16, declared float32"),
        ("[batch, seq]", "[batch]", "input 'ids' has rank 1, declared 2"),
        ("float total", "float[1] total", "output 'total' has rank 1, declared 0"),
        ("=> (float[batch, 4]", "=> (float[]", "output 'y' has no shape, declared rank 2"),
        ("float total", "float[] total", "output 'total' has no shape, declared rank 0"),
        (
            "g (float[batch",
            "g (float[3",
            "input 'x' axis 0 is fixed at 3, declared dynamic (batch)",
        ),
        (
            "=> (float[batch",
            "=> (float[1",
            "output 'y' axis 0 is fixed at 1, declared dynamic (batch)",
        ),
        ("[batch, seq]", "[batch, s0]", "input 'ids' axis 1 is s0, declared seq"),
        ("[batch, seq]", "[batch, ?]", "input 'ids' axis 1 has no name, declared seq"),
        ("g (float[batch, 4]", "g (float[batch, 5]", "input 'x' axis 1 is 5, declared 4"),
        ("g (float[batch, 4]", "g (float[batch, n]", "input 'x' axis 1 is n, declared 4"),
    ],
)
def test_what_is_not_as_declared_is_refused_by_name(found: str, made: str, reason: str) -> None:
    assert GRAPH.count(found) == 1
    assert check(GRAPH.replace(found, made)) == ("failed", reason)


def test_every_fault_is_reported() -> None:
    outcome, reason = check(
        GRAPH.replace("float[batch, 4] x", "double[batch, 5] x").replace(
            "float total", "float[1] total"
        )
    )
    assert outcome == "failed"
    assert reason == (
        "input 'x' is float64, declared float32; input 'x' axis 1 is 5, declared 4; "
        "output 'total' has rank 1, declared 0"
    )


def test_initializers_among_the_inputs_are_no_inputs() -> None:
    listed = GRAPH.replace("seq] ids)", "seq] ids, float[4] w)").replace(
        "float total)", "float total) <float[4] w = {1, 2, 3, 4}>"
    )
    assert [graph_input.name for graph_input in model_of(listed).graph.input] == ["x", "ids", "w"]
    assert check(listed)[0] == "passed"


def test_a_declared_input_with_a_value_of_its_own_is_not_an_input() -> None:
    valued = GRAPH.replace("float total)", "float total) <int64[1, 1] ids = {7}>")
    assert check(valued) == ("failed", f"input 'ids' is not in the graph; {SPECIALIZED}")


def test_sizes_without_a_name_may_be_anything() -> None:
    output = TensorRecord(name="y", dtype="float32", shape=("?", 4))
    reference = REFERENCE.model_copy(update={"outputs": (output, REFERENCE.outputs[1])})
    for size in ("batch", "?", "unk__0"):
        made = GRAPH.replace("=> (float[batch", f"=> (float[{size}")
        assert check(made, reference)[0] == "passed"
    fixed = GRAPH.replace("=> (float[batch", "=> (float[3")
    assert check(fixed, reference) == (
        "failed",
        "output 'y' axis 0 is fixed at 3, declared dynamic (?)",
    )


def test_a_graph_of_fixed_sizes_passes_where_that_is_declared() -> None:
    fixed = TensorRecord(name="x", dtype="float32", shape=(3, 4))
    reference = REFERENCE.model_copy(
        update={"inputs": (fixed,), "outputs": (fixed.model_copy(update={"name": "y"}),)}
    )
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[3, 4] x) => (float[3, 4] y) { y = Relu(x) }
    """
    reason = "1 inputs and 1 outputs as declared, all sizes fixed, as declared"
    assert check(graph, reference) == ("passed", reason)


def test_what_is_no_tensor_is_refused() -> None:
    model = model_of(GRAPH)
    sequence = onnx.helper.make_tensor_sequence_value_info("y", onnx.TensorProto.FLOAT, None)
    model.graph.output[0].CopyFrom(sequence)
    verdict = check_contract(model.graph, REFERENCE)
    assert verdict.outcome == "failed"
    assert "output 'y' is undefined, declared float32" in verdict.reason
