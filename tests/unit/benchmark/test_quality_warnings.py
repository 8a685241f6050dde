from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxproof.benchmark.quality_warnings import (
    PointStats,
    faster_than_arithmetic,
    quality_warnings,
    slower_in_less_precision,
)
from onnxproof.records import Profile, QualityWarning, Ratio
from tests.helpers.graphs import latency_of

RANDOM = np.random.default_rng(0)
STEADY = (5 + 0.2 * RANDOM.standard_normal(400)).tolist()


def found(
    samples_ms: Sequence[float],
    *,
    cpu_share: float = 1.0,
    device: str = "cpu",
    unsettled: int = 0,
) -> dict[str, QualityWarning]:
    latency = latency_of("dynamo", float(np.median(samples_ms)), device=device).model_copy(
        update={"min_ms": min(samples_ms)}
    )
    stats = PointStats(inputs_bytes=4000, cpu_seconds=cpu_share, wall_seconds=1)
    repetitions = [samples_ms[start::4] for start in range(4)]
    stats.unsettled["dynamo", latency.where] = unsettled
    return {warning.rule: warning for warning in quality_warnings(latency, repetitions, stats)}


@pytest.mark.parametrize(
    "samples_ms",
    [
        STEADY,
        np.exp(0.3 * RANDOM.standard_normal(400)).tolist(),
        RANDOM.uniform(4, 8, 400).tolist(),
        (5 + np.linspace(0, 1, 400)).tolist(),
        [*STEADY[:380], *(20 * RANDOM.random(20) + 10).tolist()],
    ],
    ids=["steady", "skewed", "even", "drifting", "with a tail"],
)
def test_ordinary_samples_are_not_suspect(samples_ms: list[float]) -> None:
    assert found(samples_ms) == {}


def test_samples_of_two_speeds_are_suspect() -> None:
    both = [*STEADY[:250], *(2 * np.array(STEADY[:150])).tolist()]
    message = found(both)["two speeds"]
    assert message.runner == "dynamo"
    assert message.reason.startswith("250 calls take about ")
    assert " ms and 150 about " in message.reason


def test_two_speeds_take_more_than_a_few_samples() -> None:
    assert found([5.0] * 15 + [10.0] * 15) == {}


def test_two_speeds_of_a_call_that_the_caches_decide_are_ordinary() -> None:
    assert found([*np.array(STEADY[:250]) / 100, *np.array(STEADY[:150]) / 50]) == {}


def test_a_process_that_did_not_have_its_core_is_suspect() -> None:
    message = found(STEADY, cpu_share=0.5)["machine busy"]
    assert message.reason == "this process had the processor for 50 % of the time"
    assert found(STEADY, cpu_share=0.5, device="cuda") == {}  # there it waits for the device


def test_a_call_that_is_over_before_its_inputs_are_read_is_suspect() -> None:
    assert set(found([1e-9] * 20)) == {"faster than memory", "timer too coarse"}


def test_calls_that_got_faster_to_the_end_of_most_warm_ups_are_suspect() -> None:
    assert found(STEADY, unsettled=2) == {}
    message = found(STEADY, unsettled=3)["still warming up"]
    assert message.reason == "in 3 of 4 repetitions its calls still got faster after 3 s"


def model_in(dtype: str, folder: Path) -> Path:
    kind = {"float": "FLOAT", "float16": "FLOAT16"}[dtype]
    weight = helper.make_tensor("w", getattr(TensorProto, kind), [2], [1.0, 2.0])
    graph = helper.make_graph([], "g", [], [], [weight])
    path = folder / f"{dtype}.onnx"
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize(
    ("low", "high", "suspect"),
    [(1.1, 1.3, "half"), (0.9, 1.1, ""), (0.7, 0.9, "")],
    ids=["slower", "not told apart", "faster"],
)
def test_less_precision_that_is_slower_is_suspect(
    tmp_path: Path, low: float, high: float, suspect: str
) -> None:
    models = {"half": model_in("float16", tmp_path), "full": model_in("float", tmp_path)}
    ratio = Ratio(runner="half", over="full", ratio=1.2, low=low, high=high, rounds=9)
    other = Ratio(runner="full", over="half", ratio=1 / 1.2, low=1 / high, high=1 / low, rounds=9)
    for comparison in (ratio, other):
        message = list(slower_in_less_precision([comparison], models))
        assert [one.runner for one in message] == ([suspect] if suspect else [])
    if suspect:
        assert message[0].rule == "float16 slower than float32"
        assert message[0].reason == "1.200 times the latency of full, whose weights are float32"


@pytest.mark.parametrize(("flops", "suspect"), [(10**9, False), (10**11, True)])
def test_a_call_that_is_over_before_its_products_are_computed_is_suspect(
    flops: int, *, suspect: bool
) -> None:
    fast = latency_of("dynamo", 4.0).model_copy(update={"min_ms": 4.0})
    stats = Profile(
        runner="dynamo",
        provider=fast.provider,
        runs=1,
        kernels_ms=1.0,
        operators=(),
        fused={},
        flops=flops,
    )
    message = list(faster_than_arithmetic([fast], [stats], fast.dims))
    assert [warning.rule for warning in message] == ["faster than arithmetic"] * suspect
    assert not list(faster_than_arithmetic([fast], [stats], {"batch": 99}))  # no profile there
    if message:
        assert message[0].reason == "1e+11 multiplications and additions in 4 ms"
