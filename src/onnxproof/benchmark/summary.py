"""Samples in short: as many percentiles as their number supports."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from onnxproof.benchmark.contenders import Contender
from onnxproof.grid import Sizes
from onnxproof.records import Latency

FEWEST_FOR_P90: Final = 10


def summarize(
    contender: Contender, sizes: Sizes, threads: int, samples_ms: Sequence[float]
) -> Latency:
    """Median and what else the number of samples supports."""
    enough = len(samples_ms) >= FEWEST_FOR_P90
    return Latency(
        contender=contender.label,
        provider=contender.provider,
        binding=contender.binding,
        device=contender.device,
        dims=sizes,
        threads=threads,
        samples=len(samples_ms),
        p50_ms=statistics.median(samples_ms),
        p90_ms=statistics.quantiles(samples_ms, n=10)[-1] if enough else None,
        min_ms=min(samples_ms),
        mean_ms=statistics.fmean(samples_ms),
    )
