"""Turns: every runner once a round, in shuffled order, until the time is used up.

A machine's speed drifts over seconds, so the runners take turns: what slows one round slows all
of them, and the ratios of a round hold where the milliseconds do not.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

MAX_ROUNDS: Final = 10_000
FEWEST_ROUNDS: Final = 2


def loop(
    call: Callable[[], object],
    *,
    seconds: float,
    calls: int | None = None,
    before_ms: Sequence[float] = (),
) -> list[float]:
    """Milliseconds of each call in a loop that nobody else interrupts; one at least.

    Args:
        call: Warm already.
        seconds: After which no further call begins.
        calls: So many, instead of seconds.
        before_ms: Of the loop too: the calls right before it.
    """
    samples = list(before_ms[-calls:] if calls else before_ms)
    with no_collection():
        start = time.monotonic() - sum(samples) / 1e3
        while not samples or (
            len(samples) < calls
            if calls is not None
            else len(samples) < MAX_ROUNDS and time.monotonic() - start < seconds
        ):
            samples.append(_timed(call))
    return samples


def take_samples(
    calls: Sequence[Callable[[], object]], seed: int, *, seconds: float, rounds: int | None = None
) -> list[list[float]]:
    """Milliseconds of each call, one list for each runner, in the order of rounds.

    Args:
        calls: Warm already.
        seed: Of the order of turns.
        seconds: After which no further round begins; two rounds there are in any case.
        rounds: So many, instead of seconds.
    """
    samples: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    shuffle = random.Random(seed).shuffle  # noqa: S311  # an order of turns is no secret
    with no_collection():
        start = time.monotonic()
        for done in range(rounds or MAX_ROUNDS):
            if rounds is None and done >= FEWEST_ROUNDS and time.monotonic() - start > seconds:
                break
            shuffle(order)
            for index in order:
                samples[index].append(_timed(calls[index]))
    return samples


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect garbage now, and not meanwhile: it would be counted as one runner's own."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _timed(call: Callable[[], object]) -> float:
    before = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - before) / 1e6
