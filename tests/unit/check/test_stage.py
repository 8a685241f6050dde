from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxproof.check.parity import Disagreement
from onnxproof.check.stage import check_candidate, check_in_child
from onnxproof.errors import CheckError
from onnxproof.isolation.child import prepare_children
from onnxproof.records import Candidate, CheckResult, Loaded, Run, Work
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import Spec
from tests.helpers.graphs import (
    AFFINE,
    affine_reference,
    loaded_with,
    model_of,
    save,
    save_reference,
)
from tests.helpers.specs import spec_of, work_in

ORDER = [
    "bytes", "structure", "contract", "weights", "session", "parity", "edges", "parity_unoptimized",
]  # fmt: skip


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def check(
    candidate: Candidate, work: Work, loaded: Loaded | None = None, spec: Spec | None = None
) -> CheckResult:
    wanted = loaded or affine_reference(work)
    return check_in_child(Run(spec or spec_of(), work, wanted), candidate)


def outcomes(result: CheckResult) -> dict[str, str]:
    return {verdict.name: verdict.outcome for verdict in result.verdicts}


def refused_at(result: CheckResult) -> str:
    """The verdict that failed, with all before it passed and all after it not reached."""
    assert not result.proven
    assert list(outcomes(result)) == ORDER
    failed = [verdict.name for verdict in result.verdicts if verdict.outcome == "failed"]
    if failed == ["parity", "parity_unoptimized"]:
        assert outcomes(result)["edges"] == "not_reached"
        return "parity"
    assert len(failed) == 1
    after = ORDER[ORDER.index(failed[0]) + 1 :]
    for verdict in result.verdicts:
        if verdict.name in after:
            assert (verdict.outcome, verdict.reason) == ("not_reached", f"{failed[0]} failed first")
        elif verdict.name != failed[0]:
            assert verdict.outcome == "passed"
    return failed[0]


def test_a_right_graph_is_proven_with_every_verdict_in_order(work: Work) -> None:
    candidate = save(AFFINE, work, "trace")
    result = check(candidate, work)
    assert result.proven
    assert [verdict.name for verdict in result.verdicts] == ORDER
    assert result.verdicts[-1].reason == "2 shapes, 2 samples within tolerance, 0 of it used"
    assert (result.candidate, result.sha256) == ("trace", candidate.model.sha256)
    assert result.kernels == {"Add": 1}
    (row,) = result.parity
    assert (row.samples, row.elements, row.mismatched, row.max_abs_diff) == (2, 16, 0, 0)


def test_a_file_that_changed_after_the_export_is_not_looked_at(work: Work) -> None:
    candidate = save(AFFINE, work)
    path = Path(work.path(candidate.model.path))
    path.write_bytes(path.read_bytes().replace(b"affine", b"affinE"))
    result = check(candidate, work)
    assert refused_at(result) == "bytes"
    assert result.reason == (
        "bytes: candidates/trace/model.onnx is gone or was changed since it was written"
    )


def test_a_file_that_is_gone_is_refused(work: Work) -> None:
    candidate = save(AFFINE, work)
    Path(work.path(candidate.model.path)).unlink()
    assert refused_at(check(candidate, work)) == "bytes"


@pytest.mark.parametrize(
    ("found", "made"),
    [("y = Add(x, bias)", "y = Add(x, nothing)"), ("=> (float[batch, 4]", "=> (float[batch, 7]")],
    ids=["no such value", "wrong shape"],
)
def test_a_graph_that_the_checker_refuses_is_refused(work: Work, found: str, made: str) -> None:
    result = check(save(AFFINE.replace(found, made), work), work)
    assert refused_at(result) == "structure"
    assert result.reason.startswith("structure: onnx.checker: ")


def test_what_is_no_onnx_file_is_refused(work: Work) -> None:
    candidate = save(AFFINE, work)
    Path(work.path(candidate.model.path)).write_bytes(b"not a graph")
    artifact = candidate.model.of(work.folder, candidate.model.path)
    result = check(candidate.model_copy(update={"model": artifact}), work)
    assert refused_at(result) == "structure"


def test_a_graph_with_another_contract_is_refused(work: Work) -> None:
    result = check(save(AFFINE.replace("float[batch, 4]", "float[3, 4]"), work), work)
    assert refused_at(result) == "contract"
    assert "input 'x' axis 0 is fixed at 3, declared dynamic (batch)" in result.reason


def test_an_operator_that_onnxruntime_lacks_is_refused(work: Work) -> None:
    unknown = AFFINE.replace('"" : 18', '"" : 18, "acme" : 1').replace("Add(", "acme.Add(")
    result = check(save(unknown, work), work)
    assert refused_at(result) == "session"
    assert result.reason.startswith("session: ONNX Runtime does not load it: ")
    assert "acme" in result.reason
    assert "Load model from " in result.reason
    assert work.folder not in result.reason  # the proof travels


def test_a_wrong_element_is_refused_with_its_output_set_index_and_shape(work: Work) -> None:
    result = check(save(AFFINE.replace("{1, 2, 3, 4}", "{1, 2, 3.5, 4}"), work), work)
    assert refused_at(result) == "parity"
    assert result.reason == (
        "parity: output 'y' differs by 0.5, 383 times what is allowed (atol=0.000806, "
        "rtol=0.0001, by dtype, since the noise is not known) in test_data_set_0 "
        "at index [0, 2] (batch=1); 4 of 16 elements fail, 1 of 1 outputs"
    )


def test_a_fault_at_one_shape_only_is_refused(work: Work) -> None:
    loaded = affine_reference(work)
    path = Path(work.path("test_data_set_1", "output_0.pb"))
    tensor = onnx.load_tensor(path)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[2, 3] += 1
    path.write_bytes(onnx.numpy_helper.from_array(array, "y").SerializeToString())
    result = check(save(AFFINE, work), work, loaded)
    assert "differs by 1, " in result.reason
    assert "in test_data_set_1 at index [2, 3] (batch=3); 1 of 16 elements fail" in result.reason


def test_a_weight_that_is_off_by_a_thousandth_is_refused(work: Work) -> None:
    result = check(save(AFFINE.replace("{1, 2, 3, 4}", "{1, 2, 3, 4.01}"), work), work)
    assert refused_at(result) == "parity"


@pytest.mark.parametrize("pytorch", [1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_nan_and_infinity_are_refused_also_when_pytorch_gives_them(
    work: Work, pytorch: float, bad: str
) -> None:
    model = model_of(AFFINE)
    array = np.array([1, 2, float(bad), 4], np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(array, "bias"))
    x = np.zeros((1, 4), np.float32)
    expected = np.array([[1, 2, pytorch, 4]], np.float32)
    loaded = save_reference(work, ({"x": x}, {"y": expected}))
    spec = spec_of(check={"tolerance": {"atol": 1e30, "rtol": 1e30}})
    result = check(save(model, work), work, loaded, spec)
    assert refused_at(result) == "parity"
    assert "output 'y' differs by inf" in result.reason


def test_integers_must_be_equal_whatever_the_tolerance(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (int64[batch] x) => (int64[batch] y) <int64 one = {1}> { y = Add(x, one) }
    """
    x = np.array([5000, 7])
    spec = spec_of(check={"tolerance": {"atol": 5, "rtol": 0.5}})
    loaded = save_reference(work, ({"x": x}, {"y": x + 2}))
    result = check(save(graph, work), work, loaded, spec)
    assert refused_at(result) == "parity"
    assert "2 of 2 elements fail" in result.reason


def test_outputs_with_each_others_names_are_refused(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[batch] x) => (float[batch] first, float[batch] second)
        { first = Neg(x) second = Abs(x) }
    """
    x = np.array([1, -2, 3], np.float32)
    loaded = save_reference(work, ({"x": x}, {"first": abs(x), "second": -x}))
    result = check(save(graph, work), work, loaded)
    assert refused_at(result) == "parity"
    assert result.reason.endswith("2 of 2 outputs")


def test_another_shape_is_refused_in_its_own_words(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[batch] x) => (float[batch] y) <float zero = {0}>
        { positive = Greater(x, zero) y = Compress <axis = 0> (x, positive) }
    """
    x = np.array([1, -2, 3], np.float32)
    loaded = save_reference(work, ({"x": x}, {"y": x}))
    result = check(save(graph, work), work, loaded)
    assert refused_at(result) == "parity"
    assert result.reason == "parity: output 'y' is float32[2], PyTorch gives float32[3] (batch=3)"


def test_a_shape_that_was_fixed_in_the_nodes_is_refused(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[batch, 4] x) => (float[batch, 4] y)
        <float[3, 4] table = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}>
        { sum = Add(x, table) shape = Shape(x) y = Reshape(sum, shape) }
    """
    result = check(save(graph, work), work)
    assert refused_at(result) == "parity"
    assert result.reason.startswith("parity: ONNX Runtime failed on a reference input (batch=1): ")


def test_a_scalar_and_an_empty_output_are_proven(work: Work) -> None:
    graph = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[batch, 2] x) => (float total, float[batch, 0] nothing)
        <int64[1] from = {0}, int64[1] to = {0}, int64[1] axis = {1}>
        {
            total = ReduceSum <keepdims = 0> (x)
            nothing = Slice(x, from, to, axis)
        }
    """
    x = np.ones((3, 2), np.float32)
    outputs = {"total": np.array(6, np.float32), "nothing": np.zeros((3, 0), np.float32)}
    result = check(save(graph, work), work, save_reference(work, ({"x": x}, outputs)))
    assert result.reason == ""
    assert [(row.name, row.elements) for row in result.parity] == [("total", 1), ("nothing", 0)]


def test_an_output_is_held_to_its_own_tolerance(work: Work) -> None:
    wrong = save(AFFINE.replace("{1, 2, 3, 4}", "{1, 2, 3.5, 4}"), work)
    loaded = affine_reference(work)
    whole = {"tolerance": {"atol": 0.6, "rtol": 0}}
    own = {"y": {"tolerance": {"atol": 0.4, "rtol": 0}}}
    assert check(wrong, work, loaded, spec_of(check=whole)).proven
    refused = check(wrong, work, loaded, spec_of(check=whole, outputs=own))
    assert "1.25 times what is allowed (atol=0.4, rtol=0, as the spec asks)" in refused.reason


def test_shapes_that_were_not_reached_are_reported(work: Work) -> None:
    reference = affine_reference(work).reference
    missed = reference.points[1].model_copy(update={"sets": (), "outcome": "not_reached"})
    loaded = loaded_with(reference.model_copy(update={"points": (reference.points[0], missed)}))
    result = check(save(AFFINE, work), work, loaded)
    assert result.verdicts[-1].reason == (
        "1 shapes, 1 samples within tolerance, 0 of it used; 1 shapes were beyond the budget"
    )


def test_a_check_that_breaks_raises_and_never_passes(work: Work) -> None:
    loaded = affine_reference(work)
    Path(work.path("test_data_set_1", "output_0.pb")).unlink()
    candidate = save(AFFINE, work)
    with pytest.raises(KeyError):
        check(candidate, work, loaded)
    prepare_children(preload=())
    with pytest.raises(CheckError, match="check failed: KeyError: 'y'") as caught:
        check_candidate(Run(spec_of(), work, loaded), candidate)
    assert caught.value.end == "error"


def test_a_disagreement_is_an_answer_and_no_error_of_ours() -> None:
    assert not issubclass(Disagreement, CheckError)


def test_a_set_is_read_by_name_and_in_order(work: Work) -> None:
    arrays = {f"in{index}": np.full(2, index) for index in range(12)}
    save_reference(work, (arrays, {"y": np.array(7)}))
    feed, outputs = read_set(Path(work.path("test_data_set_0")))
    assert list(feed) == list(arrays)
    assert (feed["in11"].tolist(), outputs["y"].item()) == ([11, 11], 7)
