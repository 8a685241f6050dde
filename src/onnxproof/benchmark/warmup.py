"""Calls before those that count, until they get no faster."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 0.02
"""Of the first window, and of a model that was open before, whose machine is warm already."""
WINDOW_AGAIN_SECONDS: Final = 0.002
GAIN: Final = 0.05
"""By how much a window has to be faster than all before it to count as getting faster."""
SETTLED_WINDOWS: Final = 2
"""In a row without a gain: of a TorchScript module the first two calls are slow."""
LONGEST_SECONDS: Final = 3.0


class WarmUp(NamedTuple):
    """What the calls before showed."""

    first_ms: float  # the very first call
    last_ms: list[float]  # each call of the last window: as good as those of a loop, if it settled
    calls: int
    settled: bool  # or still getting faster after LONGEST_SECONDS


def warm_up(call: Callable[[], object], *, again: bool = False) -> WarmUp:
    """Call in windows, each twice as long as the one before, until they bring no gain.

    A clock that rises slowly shows in long windows alone, and a long call is a window itself, so
    three calls are the least and the most where nothing is to gain.
    """
    start, length = time.perf_counter(), WINDOW_AGAIN_SECONDS if again else WINDOW_SECONDS
    first_ms, best, calls, flat = 0.0, math.inf, 0, 0
    while flat < SETTLED_WINDOWS:
        taken = _window(call, length)
        first_ms = first_ms or taken[0]
        calls += len(taken)
        typical = statistics.median(taken)
        flat = flat + 1 if typical > best * (1 - GAIN) else 0
        best, length = min(best, typical), 2 * length
        if flat < SETTLED_WINDOWS and time.perf_counter() - start > LONGEST_SECONDS:
            return WarmUp(first_ms, taken, calls, settled=False)
    return WarmUp(first_ms, taken, calls, settled=True)


def _window(call: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of the calls that fit, at least one."""
    taken: list[float] = []
    start = time.perf_counter_ns()
    while not taken or time.perf_counter_ns() - start < seconds * 1e9:
        before = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - before) / 1e6)
    return taken
