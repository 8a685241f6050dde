from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import onnxsim
import pytest
from onnx.external_data_helper import ExternalDataInfo

from onnxproof.artifact import Artifact
from onnxproof.check.stage import check_in_child
from onnxproof.export.stage import export_in_child
from onnxproof.graph import external_data
from onnxproof.graph.external_data import on_graph_alone, outside
from onnxproof.records import Candidate, Loaded, Run, Work
from onnxproof.simplify.stage import simplify_in_child
from onnxproof.spec import Spec, StrategyName
from tests.helpers import models
from tests.helpers.graphs import change_a_byte, load, model_of
from tests.helpers.specs import spec_of, work_in

STRATEGIES: tuple[StrategyName, ...] = ("dynamo", "trace", "script")
TRAP = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 2] x) => (float[batch, 2] y)
    <float[2, 2] v = {0, 0, 0, 0}, float[2, 2] w = {0, 0, 0, 0}, float[2] bias = {0, 0}>
    {
        a = MatMul(x, v)
        b = MatMul(a, w)
        c = Add(b, bias)
        sum = Add(v, w)
        y = MatMul(c, sum)
    }
"""
"""Two weights of one shape, a bias, and a weight + weight."""


def tied_spec(**export: object) -> Spec:
    return spec_of(
        "tied",
        inputs={"x": "int64[batch, 4] in 0..999"},
        dims={"batch": {"max": 8}},
        export={"external_data": "always", **export},
        check={"samples": 1},
    )


class Outside:
    """A model, loaded once, and its exports into one work folder."""

    def __init__(self, folder: Path, spec: Spec) -> None:
        self.spec, self.work = spec, work_in(folder)
        self.loaded: Loaded = load(spec, self.work)

    def export(self, strategy: StrategyName) -> Candidate:
        return export_in_child(Run(self.spec, self.work, self.loaded), strategy)

    def simplify(self, candidate: Candidate) -> Candidate:
        return simplify_in_child(Run(spec_of(), self.work, self.loaded), candidate)

    def reason(self, candidate: Candidate) -> str:
        """Why the candidate is not proven; empty when it is."""
        request = (Run(self.spec, self.work, self.loaded), candidate)
        return check_in_child(*request).reason

    def graph(self, candidate: Candidate) -> onnx.ModelProto:
        path = self.work.path(candidate.model.path)
        model: onnx.ModelProto = onnx.load(path, load_external_data=False)
        return model


class Exported(NamedTuple):
    """One strategy's graph, and how it came out."""

    model: Outside
    plain: Candidate
    shares_memory: list[bool]  # of each weight, with the module


@pytest.fixture
def model(tmp_path: Path) -> Outside:
    return Outside(tmp_path, tied_spec())


@pytest.fixture(scope="module", params=STRATEGIES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    module, store = models.Tied(), external_data.store
    shares: list[bool] = []
    owned: list[np.ndarray] = []

    def spy(graph: external_data.Exported, work: Work, name: str) -> Artifact | None:
        shares.extend(
            any(np.shares_memory(tensor.numpy(), weight) for weight in owned)
            for tensor in graph.weights.values()
        )
        return store(graph, work, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "tied", lambda: module)
        patch.setattr(external_data, "store", spy)
        model = Outside(tmp_path_factory.mktemp(request.param), tied_spec())
        module.float()  # the load stage leaves it in float64
        owned += [parameter.detach().numpy() for parameter in module.parameters()]
        return Exported(model, model.export(request.param), shares)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, onnx.ModelProto]:
    """The graph on disk with its weights beside it, and the graph without them."""
    model = model_of(TRAP)
    random = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = random.normal(size=tuple(tensor.dims)).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    path = tmp_path / "trap.onnx"
    onnx.save(model, path, save_as_external_data=True, location="trap.onnx.data", size_threshold=0)
    monkeypatch.chdir(tmp_path)  # where onnxsim looks for the weights' file
    return path, onnx.load(path, load_external_data=False)


def outputs_of(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path)
    (result,) = session.run(None, {"x": np.ones((2, 2), np.float32)})
    return np.asarray(result)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_simplifier_that_sees_no_data_makes_another_model_and_says_ok(
    trap: tuple[Path, onnx.ModelProto],
) -> None:
    path, graph = trap
    wrong, ok = onnxsim.simplify(graph)
    assert ok
    assert operators(wrong) == ["MatMul", "MatMul", "MatMul"]
    assert [initializer.name for initializer in wrong.graph.initializer] == ["v"]
    onnx.save(wrong, path.with_name("wrong.onnx"))
    assert np.abs(outputs_of(path.with_name("wrong.onnx")) - outputs_of(path)).max() > 0.1


def test_a_simplifier_that_sees_weights_as_inputs_keeps_every_one(
    trap: tuple[Path, onnx.ModelProto],
) -> None:
    path, graph = trap
    right = on_graph_alone(graph, lambda opened: onnxsim.simplify(opened)[0])
    assert sorted(operators(right)) == sorted(operators(graph))
    assert {tensor.name for tensor in outside(right)} == {"v", "w", "bias"}
    assert [graph_input.name for graph_input in right.graph.input] == ["x"]
    onnx.save(right, path.with_name("right.onnx"))
    np.testing.assert_allclose(outputs_of(path.with_name("right.onnx")), outputs_of(path), 1e-5)


def test_a_weight_that_is_not_used_any_more_leaves_the_graph(
    trap: tuple[Path, onnx.ModelProto],
) -> None:
    def drop_the_sum(opened: onnx.ModelProto) -> onnx.ModelProto:
        del opened.graph.node[2:]
        opened.graph.node[1].output[0] = "y"
        return opened

    changed = on_graph_alone(trap[1], drop_the_sum)
    assert [initializer.name for initializer in changed.graph.initializer] == ["v", "w"]


def test_a_weight_that_only_a_branch_uses_stays() -> None:
    model = model_of("""
        <ir_version: 8, opset_import: ["" : 18]>
        g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}>
        {
            y = If (c) <
                then_branch = yes () => (float[2] a) { a = Add(x, w) },
                else_branch = no () => (float[2] b) { b = Neg(x) }
            >
        }
    """)
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.data")
    changed = on_graph_alone(model, lambda opened: opened)
    assert [initializer.name for initializer in changed.graph.initializer] == ["w"]


def test_a_graph_with_its_weights_outside_is_proven_plain_and_simplified(
    exported: Exported,
) -> None:
    model, plain, _ = exported
    assert plain.weights is not None
    assert plain.weights.unchanged(model.work.folder)
    simplified = model.simplify(plain)
    assert simplified.weights == plain.weights
    assert (model.reason(plain), model.reason(simplified)) == ("", "")
    assert len(list(Path(model.work.folder).glob("*.data"))) == 1


def test_a_tied_weight_is_stored_once(exported: Exported) -> None:
    stored: dict[int | None, int] = {}
    for tensor in outside(exported.model.graph(exported.plain)):
        info = ExternalDataInfo(tensor)
        stored[info.offset] = info.length or 0
    assert sum(stored.values()) == 4 * (1000 * 16 + 2 * 16 * 32)


def test_equal_weights_of_two_names_are_stored_once(tmp_path: Path) -> None:
    values = {"a": np.arange(1024), "b": np.arange(1024), "c": np.ones(1024, np.int64)}
    graph = onnx_ir.Graph([], [], nodes=[], opset_imports={"": 18}, name="g")
    for name, array in values.items():
        graph.register_initializer(onnx_ir.val(name, const_value=onnx_ir.tensor(array, name=name)))
    exported = external_data.unload(onnx_ir.Model(graph, ir_version=8), "always")
    stored = external_data.store(exported, work_in(tmp_path), "trace.onnx.data")
    assert stored is not None
    assert (stored.size_bytes, stored.unchanged(tmp_path)) == (2 * 8 * 1024, True)
    (tmp_path / "trace.onnx").write_bytes(exported.model.SerializeToString())
    for tensor in onnx.load(tmp_path / "trace.onnx").graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), values[tensor.name])


def test_weights_on_their_way_out_are_the_memory_of_the_module(exported: Exported) -> None:
    assert exported.shares_memory == [True, True, True]


def test_strategies_with_the_same_weights_share_one_file(model: Outside) -> None:
    traced, scripted = model.export("trace"), model.export("script")
    assert traced.weights == scripted.weights
    assert model.reason(scripted) == ""


def test_strategies_with_other_weights_have_a_file_each(model: Outside) -> None:
    traced = model.export("trace")
    assert traced.weights is not None
    with Path(model.work.path(traced.weights.path)).open("r+b") as file:
        file.seek(100)
        file.write(b"other")
    scripted = model.export("script")
    assert scripted.weights is not None
    assert scripted.weights.path == "script.onnx.data"
    assert model.reason(scripted) == ""


def test_weights_too_large_for_one_file_go_out_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Outside(tmp_path, tied_spec(external_data="auto"))
    assert model.export("trace").weights is None
    monkeypatch.setattr(external_data, "MAX_FILE_BYTES", 8_000)
    assert model.export("script").weights is not None


def test_each_weight_starts_where_the_runtime_can_map_it(model: Outside) -> None:
    infos = [ExternalDataInfo(tensor) for tensor in outside(model.graph(model.export("trace")))]
    assert [(info.offset or 0) % 4096 for info in infos] == [0, 0, 0]


def test_one_changed_byte_of_the_weights_is_no_longer_what_was_exported(model: Outside) -> None:
    candidate = model.export("trace")
    change_a_byte(Path(model.work.path("trace.onnx.data")))
    assert model.reason(candidate) == (
        "bytes: trace.onnx.data is gone or was changed since it was written"
    )


def test_onnx_opens_no_weights_that_a_link_leads_to(model: Outside, tmp_path: Path) -> None:
    """Why candidates share a folder rather than have a link each."""
    candidate = model.export("trace")
    os.link(model.work.path("trace.onnx.data"), tmp_path / "second name")
    with pytest.raises(onnx.checker.ValidationError, match="multiple hard links"):
        onnx.load(model.work.path(candidate.model.path))
