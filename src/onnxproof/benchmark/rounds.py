"""Turns: every contender once a round, in shuffled order, until the time is used up.

A machine's speed drifts over seconds, so the contenders take turns: what slows one round slows all
of them, and the ratios of a round hold where the milliseconds do not. Candidates that half of the
time has shown to be slower leave their turns to those that are close.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

from onnxproof.benchmark.paired import compare
from onnxproof.spec import BenchmarkSpec

WARMUP_CALLS: Final = 3
WARMUP_SECONDS: Final = 0.05
"""Turns are shuffled, so a call that warms up late slows no other; this keeps it out of p90."""
MAX_ROUNDS: Final = 10_000
FEWEST_ROUNDS: Final = 2
HEAT_ROUNDS: Final = 10
"""Before a candidate may leave: the least from which a 95 % interval means what it says."""
FINAL_ROUNDS: Final = 20
"""For those that stay, also where the budget is used up: fewer cannot tell 5 % from noise."""


def take_samples(
    calls: Sequence[Callable[[], object]],
    benchmark: BenchmarkSpec,
    seed: int,
    races: Sequence[Collection[int]] = (),
) -> list[list[float]]:
    """Milliseconds of each call, one list a contender, in order of rounds.

    All have one length, except that calls of one race which were shown to be slower than another of
    it when half of ``benchmark.seconds`` is over take part no more.
    """
    for call in calls:
        _warm_up(call)
    samples: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    shuffle = random.Random(seed).shuffle  # noqa: S311  # an order of turns is no secret
    fewest = FINAL_ROUNDS if races else FEWEST_ROUNDS
    collecting = gc.isenabled()
    gc.collect()  # takes as long as a short budget where torch is loaded
    gc.disable()  # a collection inside one contender's turn is counted as its own
    start = time.monotonic()
    try:
        for done in range(benchmark.samples or MAX_ROUNDS):
            used = time.monotonic() - start
            if benchmark.samples is None:
                if used > benchmark.seconds and done >= fewest:
                    break
                if races and used > benchmark.seconds / 2 and done >= HEAT_ROUNDS:
                    slower = {index for race in races for index in _slower(race, samples)}
                    order = [index for index in order if index not in slower]
                    races = ()
            shuffle(order)
            for index in order:
                before = time.perf_counter_ns()
                calls[index]()
                samples[index].append((time.perf_counter_ns() - before) / 1e6)
    finally:
        if collecting:
            gc.enable()
    return samples


def _slower(race: Collection[int], samples: Sequence[Sequence[float]]) -> list[int]:
    """Those of a race whose interval lies above that of its fastest."""
    ratios = compare({str(index): [samples[index]] for index in race})
    return [int(each.contender) for each in ratios if each.low > 1]


def _warm_up(call: Callable[[], object]) -> None:
    start, calls = time.monotonic(), 0
    while calls < WARMUP_CALLS or time.monotonic() - start < WARMUP_SECONDS:
        call()
        calls += 1
