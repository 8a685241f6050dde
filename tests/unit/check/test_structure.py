from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from onnxproof.check.structure import check_structure
from onnxproof.export.hints import against_refusal
from onnxproof.graph.external_data import outside
from onnxproof.records import Candidate, CheckResult, Loaded, Work
from onnxproof.reference.observed_dtypes import watch
from onnxproof.spec import Spec
from tests.helpers.graphs import AFFINE, affine_reference, export, load, model_of, save
from tests.helpers.specs import Does, source_of, spec_of, work_in

TRAINING = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 4] x) => (float[batch, 4] y)
    <float ratio = {0.5}, bool training = {1}> { y = Dropout(x, ratio, training) }
"""
BY_BATCH = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 4] x) => (float[batch, 4] y)
    <float[4] one = {1, 1, 1, 1}, float[4] zero = {0, 0, 0, 0}>
    { y, mean, variance = BatchNormalization <training_mode = 1> (x, one, zero, zero, one) }
"""
IN_DOUBLE = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 4] x) => (float[batch, 4] y)
    <double[4, 4] w = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}>
    { wide = Cast <to = 11> (x) found = MatMul(wide, w) y = Cast <to = 1> (found) }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def check(
    graph: str | onnx.ModelProto, work: Work, *, spec: Spec | None = None, **facts: Any
) -> tuple[str, str]:
    """Outcome and reason; ``facts`` are those of the module that computes in float32."""
    known = affine_reference(work).model_copy(update={"computes_in": ("float32",), **facts})
    verdict = check_structure(spec or spec_of(), work, known, save(graph, work))
    assert verdict.name == "structure"
    return verdict.outcome, verdict.reason


def with_weight(array: np.ndarray) -> onnx.ModelProto:
    """A graph with one initializer more, which no node uses."""
    model = model_of(AFFINE)
    model.graph.initializer.append(numpy_helper.from_array(array, "left"))
    return model


def test_a_sound_graph_passes_with_its_versions_and_sizes(work: Work) -> None:
    outcome, reason = check(AFFINE, work)
    assert outcome == "passed"
    assert reason.startswith(
        "onnx.checker with full_check and shape inference; opset 18 and IR version 8, which "
        "ONNX Runtime 1.18 loads; "
    )
    assert reason.endswith(" for 60 B of weights")


@pytest.mark.parametrize(
    ("found", "made", "reason"),
    [
        ('"" : 18', '"" : 22', "the graph needs opset 22, {} loads up to 21"),
        ("ir_version: 8", "ir_version: 11", "the file has IR version 11, {} loads up to 10"),
    ],
)
def test_a_graph_newer_than_the_declared_runtime_is_refused(
    work: Work, found: str, made: str, reason: str
) -> None:
    graph, runtime = AFFINE.replace(found, made), "and ONNX Runtime 1.18 (export.min_onnxruntime)"
    assert check(graph, work) == ("failed", reason.format(runtime))
    later = spec_of(export={"min_onnxruntime": "1.23"})
    assert check(graph, work_in(Path(work.folder, "again")), spec=later)[0] == "passed"


def test_a_dropout_that_drops_is_refused(work: Work) -> None:
    reason = "Dropout 'y' drops elements at random (training_mode)"
    assert check(TRAINING, work) == ("failed", reason)


@pytest.mark.parametrize(
    ("found", "made"), [("training = {1}", "training = {0}"), ("ratio = {0.5}", "ratio = {0}")]
)
def test_a_dropout_that_drops_nothing_passes(work: Work, found: str, made: str) -> None:
    assert check(TRAINING.replace(found, made), work)[0] == "passed"


def test_a_norm_by_the_batch_is_refused_where_the_module_has_none(work: Work) -> None:
    outcome, reason = check(BY_BATCH, work)
    assert outcome == "failed"
    assert reason == (
        "BatchNormalization 'y' takes the statistics of the batch (training_mode), and the module "
        "those of its buffers"
    )


@pytest.mark.parametrize("facts", [{"batch_statistics": True}, {"computes_in": ()}])
def test_a_norm_by_the_batch_passes_where_the_module_has_one_or_nobody_knows(
    work: Work, facts: dict[str, Any]
) -> None:
    assert check(BY_BATCH, work, **facts)[0] == "passed"


def test_a_product_in_float64_is_refused_where_the_module_has_none(work: Work) -> None:
    assert check(IN_DOUBLE, work) == (
        "failed",
        "MatMul 'found' computes in float64; the module computes in float32",
    )


@pytest.mark.parametrize("computes_in", [("float32", "float64"), ()], ids=["has", "unknown"])
def test_float64_passes_where_the_module_has_it_or_nobody_knows(
    work: Work, computes_in: tuple[str, ...]
) -> None:
    assert check(IN_DOUBLE, work, computes_in=computes_in)[0] == "passed"


def test_a_big_tensor_of_float64_is_refused(work: Work) -> None:
    assert check(with_weight(np.ones(1024)), work) == (
        "failed",
        "'left' holds 1024 elements of float64; the module computes in float32",
    )


def test_sizes_computed_in_float64_pass(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[batch, 4] x) => (float[batch, 4] y) <double half = {0.5}, int64[2] two = {1, 1}>
        {
            size = Shape(x) wide = Cast <to = 11> (size) less = Mul(wide, half)
            back = Cast <to = 7> (less) rest = Sub(back, back) steps = Add(rest, two)
            y = Tile(x, steps)
        }
    """
    assert check(graph, work)[0] == "passed"


def test_unused_initializers_are_refused_from_a_mebibyte_on(work: Work) -> None:
    assert check(with_weight(np.ones(2**18, np.float32)), work)[0] == "passed"
    again = work_in(Path(work.folder, "again"))
    assert check(with_weight(np.ones(2**18 + 1, np.float32)), again) == (
        "failed",
        "1 initializer that no node uses, 'left' the largest, take 1.05 MB",
    )


def test_a_file_far_larger_than_the_weights_is_refused(work: Work) -> None:
    candidate = save(AFFINE, work)
    grown = candidate.model.model_copy(update={"size_bytes": (128 << 20) + 241})
    grown_candidate = candidate.model_copy(update={"model": grown})
    verdict = check_structure(spec_of(), work, affine_reference(work), grown_candidate)
    assert verdict.outcome == "failed"
    assert verdict.reason == (
        "it takes 134 MB, the module's weights 60 B: more than 4 times these and 134 MB, so the "
        "exporter stored constants that it computed, or weights several times"
    )


@pytest.fixture
def beside(work: Work) -> tuple[Spec, Loaded, Candidate]:
    """A model whose weights lie beside the graph."""
    inputs = {"x": "int64[batch, 4] in 0..999"}
    export_options = {"strategies": ["trace"], "external_data": "always"}
    spec = spec_of("tied", inputs=inputs, dims={"batch": {"max": 4}}, export=export_options)
    loaded = load(spec, work)
    return spec, loaded, export(spec, work, loaded, "trace")


def test_external_data_beyond_its_file_is_refused(
    work: Work, beside: tuple[Spec, Loaded, Candidate]
) -> None:
    spec, loaded, candidate = beside
    assert candidate.weights is not None
    assert check_structure(spec, work, loaded, candidate).outcome == "passed"
    path = Path(work.path(candidate.weights.path))
    with path.open("r+b") as file:
        file.truncate(candidate.weights.size_bytes - 4)
    short = candidate.model_copy(
        update={"weights": candidate.weights.of(work.folder, candidate.weights.path)}
    )
    verdict = check_structure(spec, work, loaded, short)
    assert verdict.outcome == "failed"
    assert " bytes, and trace.onnx.data (" in verdict.reason
    assert " is to hold " in verdict.reason


def test_external_data_of_another_candidate_is_refused(
    work: Work, beside: tuple[Spec, Loaded, Candidate]
) -> None:
    spec, loaded, candidate = beside
    model = onnx.load(work.path(candidate.model.path), load_external_data=False)
    for entry in outside(model)[0].external_data:
        if entry.key == "location":
            entry.value = "stale.onnx.data"
    Path(work.path(candidate.model.path)).write_bytes(model.SerializeToString())
    Path(work.path("stale.onnx.data")).write_bytes(b"0" * 2**20)
    verdict = check_structure(spec, work, loaded, candidate)
    assert verdict.outcome == "failed"
    assert verdict.reason.endswith(" is in stale.onnx.data, and trace.onnx.data is its file")


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
@pytest.mark.parametrize("factory", ["batch_statistics", "in_double"])
def test_what_forward_does_itself_is_no_fault(work: Work, factory: str, strategy: Any) -> None:
    spec = spec_of(factory, inputs={"x": "float32[batch, 4]"}, dims={"batch": {"min": 2, "max": 8}})
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    assert check_structure(spec, work, loaded, candidate).outcome == "passed"


def test_forward_is_watched_for_what_it_computes_in() -> None:
    assert watch(source_of(Does(lambda x: x.double().sum()))).computes_in == ("float32", "float64")
    assert watch(source_of(Does(lambda x: x * 0.1))).computes_in == ("float32",)


@pytest.mark.parametrize(("tracked", "expected"), [(True, False), (False, True)])
def test_forward_is_watched_for_statistics_of_the_batch(tracked: bool, expected: bool) -> None:
    norm = nn.BatchNorm1d(4, track_running_stats=tracked)
    assert watch(source_of(Does(norm.eval()))).batch_statistics is expected


def test_a_module_that_cannot_be_watched_is_not_known() -> None:
    def refuse(x: torch.Tensor) -> torch.Tensor:
        from torch.utils._python_dispatch import _get_current_dispatch_mode

        assert _get_current_dispatch_mode() is None
        return x

    assert watch(source_of(Does(refuse))) == ((), False)


def test_watching_leaves_a_branch_as_it_was() -> None:
    def branch(x: torch.Tensor) -> Any:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    source = source_of(Does(branch))
    assert watch(source) == ((), False)
    assert source({"x": np.ones((2, 4), np.float32)}).tolist() == [[2.0] * 4] * 2


@pytest.mark.parametrize(
    ("graph", "hint"),
    [
        (TRAINING, "forward turns training on by itself: pass training=self.training"),
        (IN_DOUBLE, "give this computation its dtype in forward, such as torch.float32"),
        (AFFINE, "another strategy or export.opset may give a graph that is sound"),
    ],
)
def test_a_fault_has_its_hint(work: Work, graph: str, hint: str) -> None:
    model = model_of(graph)
    if graph == AFFINE:
        model.graph.node[0].input[1] = "nothing"
    loaded = affine_reference(work).model_copy(update={"computes_in": ("float32",)})
    candidate = save(model, work)
    verdict = check_structure(spec_of(), work, loaded, candidate)
    result = CheckResult(candidate="trace", sha256="0" * 64, verdicts=(verdict,), seconds=0)
    assert against_refusal(candidate, result) == ("", hint)


def test_types_are_inferred_without_the_weights(work: Work) -> None:
    model = model_of(IN_DOUBLE)
    square = np.ones((64, 64), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(square, "big"))
    model.graph.node.append(onnx.helper.make_node("MatMul", ["big", "big"], ["other"]))
    assert model.graph.initializer[0].data_type == TensorProto.DOUBLE
    assert check(model, work)[1].startswith("MatMul 'found' computes in float64; ")
