"""Samples in short: as many percentiles as their number supports."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from onnxproof.benchmark.runners import Runner
from onnxproof.records import Latency
from onnxproof.samples.grid import Sizes

FEWEST_BEYOND: Final = 5
"""Samples above a percentile, below which it is a guess about one or two of them."""


def summarize(runner: Runner, sizes: Sizes, threads: int, samples_ms: Sequence[float]) -> Latency:
    """Median and what else the number of samples supports."""
    return Latency(
        runner=runner.label,
        provider=runner.provider,
        binding=runner.binding,
        device=runner.device,
        dims=sizes,
        threads=threads,
        samples=len(samples_ms),
        p50_ms=statistics.median(samples_ms),
        p90_ms=percentile(samples_ms, 90),
        p99_ms=percentile(samples_ms, 99),
        min_ms=min(samples_ms),
        mean_ms=statistics.fmean(samples_ms),
    )


def percentile(samples_ms: Sequence[float], percent: int) -> float | None:
    """None where fewer than ``FEWEST_BEYOND`` samples lie above it."""
    if len(samples_ms) * (100 - percent) < 100 * FEWEST_BEYOND:
        return None
    return statistics.quantiles(samples_ms, n=100)[percent - 1]
