"""Signs that samples are not what they seem; what is suspect is kept, told, and promotes nothing.

Each rule is a question to samples that were taken, with a bound that a machine in order stays
clear of (docs/promotion.md has what was measured).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from onnxproof.records import Latency, Suspicion

if TYPE_CHECKING:
    from onnxproof.inputs import Feed

LEAST_CPU_SHARE: Final = 0.75
"""Of the wall clock that a process on the CPU alone computes; less, and others had its core."""
TICKS: Final = 100
"""Of the clock in a median call, from which its resolution is below 1 %."""
MOST_BYTES_PER_SECOND: Final = {"cpu": 1e12, "cuda": 1e13}
"""No memory moves more: a call that reads its inputs faster has not read them."""
FEWEST_FOR_SPEEDS: Final = 50
LEAST_MS_FOR_SPEEDS: Final = 1.0
"""Of a median call. A shorter one is as fast as the caches are warm, so it has two speeds by whose
turn was before: 0.025 and 0.073 ms of 12 layers of 256, measured 2026-11."""
LEAST_SHARE: Final = 0.2
LEAST_GAP: Final = 1.3
"""How much slower the slow speed is at least; a drift or a busy neighbour stays below."""
ASHMANS_D: Final = 4.5
"""Two normal distributions are apart from 2 on (Ashman, Bird, Zepf 1994); an even spread cut in
two halves has 3.5."""


def suspicions(
    latency: Latency, samples_ms: Sequence[float], feed: Feed, cpu_share: float
) -> Iterator[Suspicion]:
    """What is odd about the samples of one contender at one point.

    Args:
        latency: Their summary.
        samples_ms: In order of rounds.
        feed: The inputs.
        cpu_share: Seconds that this process computed over those that passed, while all
            contenders took turns.
    """
    found = (
        ("machine busy", _busy(latency, cpu_share)),
        ("timer too coarse", _coarse(latency)),
        ("faster than memory", _too_fast(latency, feed)),
        ("two speeds", _two_speeds(samples_ms)),
    )
    where = " ".join(f"{name}={size}" for name, size in latency.dims.items())
    for rule, reason in found:
        if reason:
            place = f"{latency.where} at {where}" if where else latency.where
            yield Suspicion(rule=rule, contender=latency.contender, where=place, reason=reason)


def _busy(latency: Latency, cpu_share: float) -> str:
    if latency.device != "cpu" or cpu_share >= LEAST_CPU_SHARE:
        return ""
    return f"this process had the processor for {cpu_share:.0%} of the time".replace("%", " %")


def _coarse(latency: Latency) -> str:
    tick_ms = time.get_clock_info("perf_counter").resolution * 1e3
    if latency.p50_ms >= TICKS * tick_ms:
        return ""
    return f"a median call takes {latency.p50_ms:.3g} ms, and the clock counts {tick_ms:.3g} ms"


def _too_fast(latency: Latency, feed: Feed) -> str:
    size = sum(array.nbytes for array in feed.values())
    least_ms = size / MOST_BYTES_PER_SECOND.get(latency.device, 1e13) * 1e3
    if latency.min_ms >= least_ms:
        return ""
    return f"to read {size} bytes of inputs takes {least_ms:.3g} ms, a call {latency.min_ms:.3g}"


def _two_speeds(samples_ms: Sequence[float]) -> str:
    """Cut where the squares within both parts are least (Otsu), and see how far apart they are."""
    import numpy as np

    count = len(samples_ms)
    if count < FEWEST_FOR_SPEEDS or np.median(samples_ms) < LEAST_MS_FOR_SPEEDS:
        return ""
    logs = np.sort(np.log(samples_ms))
    sizes = np.arange(1, count)
    left, left_squares = np.cumsum(logs)[:-1], np.cumsum(logs**2)[:-1]
    right, right_squares = logs.sum() - left, (logs**2).sum() - left_squares
    within = left_squares - left**2 / sizes + right_squares - right**2 / (count - sizes)
    cut = int(np.argmin(within)) + 1
    fast, slow = logs[:cut], logs[cut:]
    share = min(len(fast), len(slow)) / count
    gap = float(np.exp(slow.mean() - fast.mean()))
    spread = float(np.sqrt(fast.var() + slow.var())) or 1e-9
    apart = 2**0.5 * float(slow.mean() - fast.mean()) / spread
    if share < LEAST_SHARE or gap < LEAST_GAP or apart < ASHMANS_D:
        return ""
    return (
        f"{len(fast)} calls take about {np.exp(fast.mean()):.3g} ms and {len(slow)} about "
        f"{np.exp(slow.mean()):.3g} ms, with little between"
    )
