"""Ratios of latencies that were measured in turn, with what chance could have done to them.

Contenders of one round ran within moments of each other, so what slows the machine slows all of
them: the ratio within a round stays where the milliseconds drift.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.records import Ratio

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2000
FEWEST_ROUNDS: Final = 2
"""One round has no spread, so there is nothing to say of chance."""

Samples = Sequence[Sequence[float]]
"""Milliseconds of one contender, a list for each place (provider and point), in order of rounds."""


class Interval(NamedTuple):
    """An estimate, and the ends of its confidence interval."""

    ratio: float
    low: float
    high: float


def paired_ratio(ours: Samples, theirs: Samples) -> Interval:
    """Our latency over theirs: the median ratio of a place, geometric mean over places.

    Rounds that only one of both took part in, at the end, are left out. The interval is the
    percentile bootstrap over rounds, each place for itself; its random numbers are seeded.
    """
    import numpy as np
    from scipy.stats import bootstrap

    logs = []
    for mine, other in zip(ours, theirs, strict=True):
        rounds = min(len(mine), len(other))
        logs.append(np.log(np.asarray(mine[:rounds]) / np.asarray(other[:rounds])))
    found = bootstrap(
        tuple(logs),
        _mean_of_medians,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=100,  # all at once would take a gigabyte for ten thousand rounds
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    ends = (float(_mean_of_medians(*logs, axis=-1)), float(found.low), float(found.high))
    return Interval(*(float(np.exp(each)) for each in ends))


def compare(samples: Mapping[str, Samples]) -> tuple[Ratio, ...]:
    """Every contender over the one with the lowest latency, lowest first; that one is left out.

    Empty for a single contender, and where some place has one round only.
    """
    if len(samples) < 2 or any(
        len(place) < FEWEST_ROUNDS for each in samples.values() for place in each
    ):
        return ()
    best = min(samples, key=lambda name: _latency(samples[name]))
    ratios = []
    for name, each in samples.items():
        if name != best:
            rounds = sum(min(map(len, pair)) for pair in zip(each, samples[best], strict=True))
            found = paired_ratio(each, samples[best])
            ratios.append(Ratio(contender=name, over=best, rounds=rounds, **found._asdict()))
    return tuple(sorted(ratios, key=lambda each: each.ratio))


def _latency(samples: Samples) -> float:
    return statistics.geometric_mean([statistics.median(place) for place in samples])


def _mean_of_medians(*places: np.ndarray, axis: int) -> Any:
    import numpy as np

    return np.mean([np.median(place, axis=axis) for place in places], axis=0)
