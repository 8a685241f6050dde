from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxproof.errors import ExportError
from onnxproof.graph import finalize
from onnxproof.graph.traversal import every_node
from onnxproof.records import TensorRecord
from tests.helpers.graphs import model_of, save
from tests.helpers.specs import work_in

GRAPH = """
    <ir_version: 8, opset_import: ["" : 18, "com.microsoft" : 1]>
    g (float[s0, 4, s1] x) => (float[s0, 4, s1] y) { y = Relu(x) }
"""
LOOP = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (bool c, float[n] x) => (float[n] y) {
        y = If (c) <
            then_branch = yes () => (float[n] a) { t = Relu(x) a = Relu(t) },
            else_branch = no () => (float[n] b) {
                b = If (c) <
                    then_branch = yes2 () => (float[n] d) { d = Relu(x) },
                    else_branch = no2 () => (float[n] e) { e = Abs(x) }
                >
            }
        >
    }
"""


def sizes(values: object) -> list[str | int]:
    dims = values[0].type.tensor_type.shape.dim  # type: ignore[index]
    return [dim.dim_param or dim.dim_value for dim in dims]


def test_symbolic_dims_take_the_names_of_the_spec() -> None:
    model = model_of(GRAPH)
    record = TensorRecord(name="x", dtype="float32", shape=("batch", 4, "2*seq"))
    finalize.name_dims(model.graph.input, [record])
    assert sizes(model.graph.input) == ["batch", 4, "2*seq"]
    assert sizes(model.graph.output) == ["s0", 4, "s1"]


def test_a_dim_that_the_exporter_fixed_stays_fixed() -> None:
    model = model_of(GRAPH.replace("float[s0, 4, s1] x", "float[3, 4, s1] x"))
    record = TensorRecord(name="x", dtype="float32", shape=("batch", 5, "seq"))
    finalize.name_dims(model.graph.input, [record])
    assert sizes(model.graph.input) == [3, 4, "seq"]


def test_a_symbolic_dim_of_one_size_is_fixed_and_one_without_a_name_keeps_its_own() -> None:
    model = model_of(GRAPH)
    record = TensorRecord(name="y", dtype="float32", shape=(7, 4, "?"))
    finalize.name_dims(model.graph.output, [record])
    assert sizes(model.graph.output) == [7, 4, "s1"]


def test_a_tensor_that_nobody_declared_is_left_alone() -> None:
    model = model_of(GRAPH)
    finalize.name_dims(model.graph.input, [])
    assert model == model_of(GRAPH)


def test_metadata_is_set_and_what_was_there_stays() -> None:
    model = model_of(GRAPH)
    finalize.stamp(model, {"b": "2", "a": "1"})
    finalize.stamp(model, {"b": "3"})
    assert [(prop.key, prop.value) for prop in model.metadata_props] == [("a", "1"), ("b", "3")]


def test_stack_traces_go_and_other_metadata_of_nodes_stays() -> None:
    model = model_of(LOOP)
    outer = model.graph.node[0]
    inner = outer.attribute[0].g.node[0]
    for node in (outer, inner):
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File net.py, line 3")
        node.metadata_props.add(key="namespace", value="layer")
    finalize.strip_source_notes(model)
    for node in (outer, inner):
        assert [prop.key for prop in node.metadata_props] == ["namespace"]


def test_nodes_inside_control_flow_are_counted() -> None:
    assert len(list(every_node(model_of(GRAPH).graph.node))) == 1
    assert len(list(every_node(model_of(LOOP).graph.node))) == 6


@pytest.mark.parametrize(("domain", "opset"), [("", 18), ("ai.onnx", 18), ("custom", 0)])
def test_the_opset_is_that_of_the_default_domain(domain: str, opset: int) -> None:
    model = model_of(GRAPH)
    model.opset_import[0].domain = domain
    assert finalize.opset_of(model) == opset


def test_a_candidate_describes_the_file_that_was_written(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    candidate = save(GRAPH, work, "script", "onnxsim")
    assert candidate.model.path == "candidates/script+onnxsim/model.onnx"
    assert candidate.model.unchanged(tmp_path)
    assert (candidate.label, candidate.opset, candidate.ir_version, candidate.nodes) == (
        "script+onnxsim",
        18,
        8,
        1,
    )
    assert onnx.load(work.path(candidate.model.path)) == model_of(GRAPH)


def test_a_simplified_candidate_leaves_the_plain_file_alone(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    plain = save(GRAPH, work, "trace")
    save(LOOP, work, "trace", "onnxsim")
    assert plain.model.unchanged(tmp_path)


def test_a_graph_too_large_for_one_file_is_an_error_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finalize, "MAX_FILE_BYTES", 100)
    with pytest.raises(ExportError, match="register what is a constant in forward as"):
        save(GRAPH, work_in(tmp_path))
    assert list(tmp_path.iterdir()) == []
