"""Signs that samples are not what they seem; what is suspect is kept, told, and promotes nothing.

Each rule is a question to samples that were taken, with a bound that a machine in order stays
clear of (docs/promotion.md has what was measured).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from onnxproof.benchmark.warmup import LONGEST_SECONDS
from onnxproof.graph.traversal import precision_of_weights
from onnxproof.records import Latency, Profile, QualityWarning, Ratio

LEAST_CPU_SHARE: Final = 0.75
"""Of the wall clock that a process on the CPU alone computes; less, and others had its core."""
TICKS: Final = 100
"""Of the clock in a median call, from which its resolution is below 1 %."""
MOST_BYTES_PER_SECOND: Final = {"cpu": 1e12, "cuda": 1e13}
"""No memory moves more: a call that reads its inputs faster has not read them."""
MOST_FLOPS_PER_SECOND: Final = {"cpu": 5e12, "cuda": 5e15}
"""Of a thread on the CPU (a core with AMX does 4e12 in bfloat16), of a whole GPU."""
FEWEST_FOR_SPEEDS: Final = 50
LEAST_MS_FOR_SPEEDS: Final = 1.0
"""Of a median call. A shorter one is as fast as the caches are warm, so it has two speeds by whose
turn was before: 0.025 and 0.073 ms of 12 layers of 256, measured 2026-11."""
HALVES: Final = frozenset({"float16", "bfloat16"})
LEAST_SHARE: Final = 0.2
LEAST_GAP: Final = 1.3
"""How much slower the slow speed is at least; a drift or a busy neighbor stays below."""
ASHMANS_D: Final = 4.5
"""Two normal distributions are apart from 2 on (Ashman, Bird, Zepf 1994); an even spread cut in
two halves has 3.5."""


@dataclass(slots=True)
class PointStats:
    """What was measured at one point besides the samples, over all repetitions."""

    inputs_bytes: int = 0
    cpu_seconds: float = 0.0  # that this process computed while the runners took turns
    wall_seconds: float = 0.0
    unsettled: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of repetitions in which a runner was still getting faster after its warm-up."""

    @property
    def cpu_share(self) -> float:
        """Of the time that passed, what this process computed."""
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 1.0


def quality_warnings(
    latency: Latency, repetitions: Sequence[Sequence[float]], stats: PointStats
) -> Iterator[QualityWarning]:
    """What is odd about the samples of one runner at one point.

    Args:
        latency: Their summary.
        repetitions: The samples, a list a repetition.
        stats: What else was seen.
    """
    samples_ms = [sample for repetition in repetitions for sample in repetition]
    found = (
        ("machine busy", _busy(latency, stats.cpu_share)),
        ("timer too coarse", _coarse(latency)),
        ("faster than memory", _too_fast(latency, stats.inputs_bytes)),
        ("two speeds", _two_speeds(samples_ms)),
        ("still warming up", _unsettled(latency, len(repetitions), stats)),
    )
    where = " ".join(f"{name}={size}" for name, size in latency.dims.items())
    for rule, reason in found:
        if reason:
            whole_where = f"{latency.where} at {where}" if where else latency.where
            yield QualityWarning(rule=rule, runner=latency.runner, where=whole_where, reason=reason)


def slower_in_less_precision(
    ratios: Sequence[Ratio], models: Mapping[str, Path]
) -> Iterator[QualityWarning]:
    """Models in 16 bits that are slower than one in 32: casts, or no kernels for them.

    Args:
        ratios: Of one model over another.
        models: ONNX files by label; what most bytes of their weights are is their precision.
    """
    import onnx

    precisions = {
        label: precision_of_weights(onnx.load(models[label], load_external_data=False))
        for label in {name for ratio in ratios for name in (ratio.runner, ratio.over)}
    }
    for ratio in ratios:
        for mine, other, slower in (
            (ratio.runner, ratio.over, ratio.low > 1),
            (ratio.over, ratio.runner, ratio.high < 1),
        ):
            kinds = precisions[mine], precisions[other]
            if slower and kinds[0] in HALVES and kinds[1] == "float32":
                factor = ratio.ratio if mine == ratio.runner else 1 / ratio.ratio
                yield QualityWarning(
                    rule=f"{kinds[0]} slower than float32",
                    runner=mine,
                    where=ratio.where or "all places",
                    reason=f"{factor:.3f} times the latency of {other}, whose weights are float32",
                )


def faster_than_arithmetic(
    latencies: Iterable[Latency], profiles: Sequence[Profile], sizes: Mapping[str, int]
) -> Iterator[QualityWarning]:
    """Calls that end before their products and convolutions can be computed.

    Args:
        latencies: Of all points.
        profiles: Of the first point.
        sizes: That point.
    """
    work = {(profile.runner, profile.provider): profile.flops or 0 for profile in profiles}
    for latency in latencies:
        flops = work.get((latency.runner, latency.provider), 0)
        most = MOST_FLOPS_PER_SECOND.get(latency.device, 5e15) * latency.threads
        if latency.dims == sizes and latency.min_ms < flops / most * 1e3:
            yield QualityWarning(
                rule="faster than arithmetic",
                runner=latency.runner,
                where=latency.where,
                reason=f"{flops:.3g} multiplications and additions in {latency.min_ms:.3g} ms",
            )


def _busy(latency: Latency, cpu_share: float) -> str:
    if latency.device != "cpu" or cpu_share >= LEAST_CPU_SHARE:
        return ""
    return f"this process had the processor for {cpu_share:.0%} of the time".replace("%", " %")


def _coarse(latency: Latency) -> str:
    tick_ms = time.get_clock_info("perf_counter").resolution * 1e3
    if latency.p50_ms >= TICKS * tick_ms:
        return ""
    return f"a median call takes {latency.p50_ms:.3g} ms, and the clock counts {tick_ms:.3g} ms"


def _too_fast(latency: Latency, size: int) -> str:
    least_ms = size / MOST_BYTES_PER_SECOND.get(latency.device, 1e13) * 1e3
    if latency.min_ms >= least_ms:
        return ""
    return f"to read {size} bytes of inputs takes {least_ms:.3g} ms, a call {latency.min_ms:.3g}"


def _unsettled(latency: Latency, repetitions: int, stats: PointStats) -> str:
    count = stats.unsettled[latency.runner, latency.where]
    if 2 * count <= repetitions:
        return ""
    return (
        f"in {count} of {repetitions} repetitions its calls still got faster after "
        f"{LONGEST_SECONDS:g} s"
    )


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
