"""Ratios of latencies that were measured in turn, with what chance could have done to them.

Contenders of one round ran within moments of each other, so what slows the machine slows all of
them: the ratio within a round stays where the milliseconds drift. In a sitting everything is
opened anew. Where its weights come to lie makes the same graph up to 3 % faster or slower for as
long as it is open (docs/benchmark-fidelity.md), and no number of rounds shows that: a sitting is
one observation, its median ratio, and the interval is Student's over sittings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from onnxproof.records import Ratio

CONFIDENCE: Final = 0.99
"""So that a model is called slower than itself once in two hundred comparisons."""
FEWEST_SITTINGS: Final = 2
"""One has no spread, so there is nothing to say of chance."""

Samples = Sequence[Sequence[float]]
"""Milliseconds of one contender at one place (provider, binding and point), a list a sitting."""


class Interval(NamedTuple):
    """An estimate, and the ends of its confidence interval."""

    ratio: float
    low: float
    high: float


def ratio_over_sittings(ours: Sequence[Samples], theirs: Sequence[Samples]) -> Interval:
    """Our latency over theirs, from one list of sittings for each place.

    A sitting's observation is the geometric mean of its places. Sittings and rounds that only one
    of both took part in, at the end, are left out.
    """
    return students(_logs(ours, theirs))


def students(logs: Sequence[float]) -> Interval:
    """The ratio whose logarithms these are, one a sitting, with Student's interval."""
    import numpy as np
    from scipy.special import stdtrit  # scipy.stats takes 1.6 s to import

    centre = float(np.mean(logs))
    spread = float(np.std(logs, ddof=1)) / len(logs) ** 0.5
    reach = spread * float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2))
    return Interval(*(float(np.exp(log)) for log in (centre, centre - reach, centre + reach)))


def compare(samples: Mapping[str, Sequence[Samples]]) -> tuple[Ratio, ...]:
    """Every contender over the one with the lowest latency, lowest first; that one is left out.

    Args:
        samples: By contender, a list of sittings for each place.

    Returns:
        Empty for a single contender, and where there was one sitting only.
    """
    if len(samples) < 2 or min(map(_sittings, samples.values())) < FEWEST_SITTINGS:
        return ()
    # Own medians would compare the quiet minutes of one that left early with the slow ones of those
    # that stayed, so all are scored by pairs with one that took part to the end.
    stayed = max(samples.values(), key=_sittings)
    scores = {name: students(_logs(sample, stayed)).ratio for name, sample in samples.items()}
    best = min(scores, key=lambda name: scores[name])
    ratios = [
        ratio_of(name, sample, best, samples[best])
        for name, sample in samples.items()
        if name != best
    ]
    return tuple(sorted(ratios, key=lambda ratio: ratio.ratio))


def ratio_of(
    contender: str, ours: Sequence[Samples], over: str, theirs: Sequence[Samples], where: str = ""
) -> Ratio:
    """One contender over another, with its interval, sittings and rounds."""
    logs = _logs(ours, theirs)
    rounds = sum(
        min(len(mine), len(other))
        for place in zip(ours, theirs, strict=True)
        for mine, other in zip(*place, strict=False)
    )
    return Ratio(
        contender=contender,
        over=over,
        rounds=rounds,
        sittings=len(logs),
        where=where,
        **students(logs)._asdict(),
    )


def _logs(ours: Sequence[Samples], theirs: Sequence[Samples]) -> list[float]:
    """One a sitting: the mean over places of the median log of a round's ratio."""
    import numpy as np

    places = [
        [_median_log(mine, other) for mine, other in zip(*place, strict=False)]
        for place in zip(ours, theirs, strict=True)
    ]
    sittings = min(map(len, places))
    means = np.mean([logs[:sittings] for logs in places], axis=0)
    return [float(mean) for mean in means]


def _median_log(ours: Sequence[float], theirs: Sequence[float]) -> float:
    import numpy as np

    rounds = min(len(ours), len(theirs))
    return float(np.median(np.log(np.divide(ours[:rounds], theirs[:rounds]))))


def _sittings(places: Sequence[Samples]) -> int:
    return min(map(len, places), default=0)
