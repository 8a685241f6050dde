"""Ratios of latencies that were measured in turn, with what chance could have done to them.

Contenders of one round ran within moments of each other, so what slows the machine slows all of
them: the ratio within a round stays where the milliseconds drift.
"""

from __future__ import annotations

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


def ratio_over_sittings(ours: Samples, theirs: Samples) -> Interval:
    """Our latency over theirs, where each place is another sitting of the same measurement.

    In a sitting everything is opened anew: where its weights come to lie makes the same graph up
    to 3 % faster or slower for as long as it is open (docs/fastest.md), and no number of rounds
    shows that. So a sitting is one observation, its median ratio; the interval is Student's.
    """
    return students([median_log(*pair) for pair in zip(ours, theirs, strict=True)])


def median_log(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Logarithm of the median ratio of rounds that both took part in."""
    import numpy as np

    rounds = min(len(ours), len(theirs))
    return float(np.median(np.log(np.divide(ours[:rounds], theirs[:rounds]))))


def students(logs: Sequence[float]) -> Interval:
    """The ratio whose logarithms these are, one a sitting, with Student's interval."""
    import numpy as np
    from scipy import stats

    centre = float(np.mean(logs))
    spread = float(np.std(logs, ddof=1)) / len(logs) ** 0.5
    reach = spread * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(logs) - 1))
    return Interval(*(float(np.exp(each)) for each in (centre, centre - reach, centre + reach)))


def compare(samples: Mapping[str, Samples]) -> tuple[Ratio, ...]:
    """Every contender over the one with the lowest latency, lowest first; that one is left out.

    Empty for a single contender, and where some place has one round only.
    """
    if len(samples) < 2 or any(
        len(place) < FEWEST_ROUNDS for each in samples.values() for place in each
    ):
        return ()
    scores = _scores(samples)
    best = min(scores, key=lambda name: scores[name])
    ratios = []
    for name, each in samples.items():
        if name != best:
            rounds = sum(min(map(len, pair)) for pair in zip(each, samples[best], strict=True))
            found = paired_ratio(each, samples[best])
            ratios.append(Ratio(contender=name, over=best, rounds=rounds, **found._asdict()))
    return tuple(sorted(ratios, key=lambda each: each.ratio))


def _scores(samples: Mapping[str, Samples]) -> dict[str, float]:
    """Log of each latency over that of a round's median contender, from paired rounds alone.

    Own medians would compare the quiet minutes of one that left early with the slow ones of those
    that stayed. The median contender is one of those that took part to the end.
    """
    import numpy as np

    logs: dict[str, list[float]] = {name: [] for name in samples}
    for places in zip(*samples.values(), strict=True):
        rounds = max(map(len, places))
        centre = np.median([place for place in places if len(place) == rounds], axis=0)
        for name, place in zip(samples, places, strict=True):
            ratios = np.asarray(place) / centre[: len(place)]
            logs[name].append(float(np.median(np.log(ratios))))
    return {name: float(np.mean(each)) for name, each in logs.items()}


def _mean_of_medians(*places: np.ndarray, axis: int) -> Any:
    import numpy as np

    return np.mean([np.median(place, axis=axis) for place in places], axis=0)
