from __future__ import annotations

from pathlib import Path

import pytest

from onnxproof.benchmark import profile
from onnxproof.benchmark.profile import RUNTIME, Profiled, profile_of
from onnxproof.benchmark.repetitions import Workload
from onnxproof.records import Profile, Work
from onnxproof.spec import Provider
from tests.helpers.graphs import save
from tests.helpers.specs import spec_of, work_in

LAYERS = """
    <ir_version: 8, opset_import: ["" : 18]>
    layers (float[batch, 4] x) => (float[batch, 3] y)
    <float[4, 8] w = {WIDE}, float[8] b = {EIGHT}, float[8, 3] v = {LONG}>
    { p = MatMul(x, w) s = Add(p, b) r = Relu(s) [erf] e = Erf(r) [last] y = MatMul(e, v) }
"""
CONV = """
    <ir_version: 8, opset_import: ["" : 18]>
    conv (float[batch, 3, 8, 8] x) => (float[batch, 8, 6, 6] y)
    <float[8, 3, 3, 3] w = {WEIGHTS}>
    { c = Conv(x, w) y = Relu(c) }
"""
TWO_CONVS = """
    <ir_version: 8, opset_import: ["" : 18]>
    convs (float[batch, 3, 8, 8] x) => (float[batch, 16, 4, 4] y)
    <float[16, 3, 3, 3] w = {FIRST}, float[16, 16, 3, 3] v = {SECOND}>
    { c = Conv(x, w) r = Relu(c) d = Conv(r, v) y = Relu(d) }
"""


def ones(count: int) -> str:
    return ", ".join(["1"] * count)


def layers(work: Work) -> Path:
    text = LAYERS.replace("WIDE", ones(32)).replace("EIGHT", ones(8)).replace("LONG", ones(24))
    return Path(work.path(save(text, work).model.path))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path)


def profiled(path: Path, work: Work, modules: dict[str, str] | None = None) -> Profile:
    shape = "batch, 3, 8, 8" if "script" in str(path) else "batch, 4"
    spec = spec_of(inputs={"x": f"float32[{shape}]"}, dims={"batch": {"max": 8}})
    workload = Workload.of(spec)
    return profile_of(workload, work, Profiled("toy", path, modules or {}), Provider(), ())


def test_kernels_are_summed_by_operator_as_onnx_runtime_runs_them(work: Work) -> None:
    found = profiled(layers(work), work)
    counts = {operator.operator: operator.calls for operator in found.operators}
    assert sum(counts.values()) < 5  # something was fused
    assert counts["Erf"] == 1
    assert sum(operator.share for operator in found.operators) == pytest.approx(1)
    shares = [operator.share for operator in found.operators]
    assert shares == sorted(shares, reverse=True)
    assert {operator.provider for operator in found.operators} == {"CPUExecutionProvider"}
    assert found.kernels_ms > 0
    assert found.modules == ()


def test_what_the_runtime_put_in_is_counted(work: Work) -> None:
    found = profiled(layers(work), work)
    assert found.fused
    assert set(found.fused) <= {operator.operator for operator in found.operators}
    assert not set(found.fused) & {"MatMul", "Add", "Relu", "Erf"}


def test_products_are_counted_in_multiplications_and_additions(work: Work) -> None:
    batch = 3  # the example's
    assert profiled(layers(work), work).flops == 2 * batch * (4 * 8 + 8 * 3)


def test_convolutions_are_counted_though_their_weights_are_prepacked(work: Work) -> None:
    path = Path(work.path(save(CONV.replace("WEIGHTS", ones(216)), work, "script").model.path))
    blocks = {2 * 3 * (channels * 6 * 6) * (3 * 3 * 3) for channels in (8, 16)}  # AVX2, AVX-512
    assert profiled(path, work).flops in blocks


def test_time_is_reported_by_module_and_what_lies_between_belongs_to_whom_it_hands_on(
    work: Work,
) -> None:
    modules = {"r": "body.0", "y": "head"}
    found = {module.module: module for module in profiled(layers(work), work, modules).modules}
    assert set(found) == {"body.0", "head"}  # Erf, of which nobody noted anything, is the head's
    assert sum(module.share for module in found.values()) == pytest.approx(1)


def test_what_nobody_takes_and_nobody_noted_is_the_runtimes(work: Work) -> None:
    found = {module.module for module in profiled(layers(work), work, {"r": "body.0"}).modules}
    assert found == {"body.0", RUNTIME}


def test_convolutions_that_hand_on_blocks_keep_their_modules(work: Work) -> None:
    text = TWO_CONVS.replace("FIRST", ones(432)).replace("SECOND", ones(2304))
    path = Path(work.path(save(text, work, "script").model.path))
    found = profiled(path, work, {"r": "first", "y": "second"})
    blocked = sum(operator.calls for operator in found.operators if operator.operator == "Conv")
    assert blocked == 2  # both with their Relu
    assert {module.module for module in found.modules} == {"first", "second"}


def test_a_large_model_is_summed_by_operator_alone(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "MOST_BYTES", 1)
    found = profiled(layers(work), work, {"y": "head"})
    assert found.operators
    assert (found.modules, found.fused, found.flops) == ((), {}, None)


def test_nothing_is_left_behind(work: Work) -> None:
    path = layers(work)
    before = sorted(Path(work.folder).rglob("*"))
    profiled(path, work, {"y": "head"})
    assert sorted(Path(work.folder).rglob("*")) == before
