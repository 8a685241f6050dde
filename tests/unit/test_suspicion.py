from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from onnxproof.benchmark.suspicion import suspicions
from onnxproof.records import Suspicion
from tests.unit.making import latency_of

FEED = {"x": np.zeros(1000, np.float32)}
RANDOM = np.random.default_rng(0)
STEADY = (5 + 0.2 * RANDOM.standard_normal(400)).tolist()


def found(
    samples_ms: Sequence[float], *, cpu_share: float = 1.0, device: str = "cpu"
) -> dict[str, Suspicion]:
    latency = latency_of("dynamo", float(np.median(samples_ms)), device=device).model_copy(
        update={"min_ms": min(samples_ms)}
    )
    return {each.rule: each for each in suspicions(latency, samples_ms, FEED, cpu_share)}


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
    told = found(both)["two speeds"]
    assert told.contender == "dynamo"
    assert told.reason.startswith("250 calls take about ")
    assert " ms and 150 about " in told.reason


def test_two_speeds_take_more_than_a_few_samples() -> None:
    assert found([5.0] * 15 + [10.0] * 15) == {}


def test_two_speeds_of_a_call_that_the_caches_decide_are_ordinary() -> None:
    assert found([*np.array(STEADY[:250]) / 100, *np.array(STEADY[:150]) / 50]) == {}


def test_a_process_that_did_not_have_its_core_is_suspect() -> None:
    told = found(STEADY, cpu_share=0.5)["machine busy"]
    assert told.reason == "this process had the processor for 50 % of the time"
    assert found(STEADY, cpu_share=0.5, device="cuda") == {}  # there it waits for the device


def test_a_call_that_is_over_before_its_inputs_are_read_is_suspect() -> None:
    assert set(found([1e-9] * 20)) == {"faster than memory", "timer too coarse"}
