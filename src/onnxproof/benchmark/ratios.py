"""Ratios of latencies that were measured in turn, with what chance could have done to them.

Runners of one round ran within moments of each other, so what slows the machine slows all of
them: the ratio within a round stays where the milliseconds drift. In a repetition everything is
opened anew. Where its weights come to lie makes the same graph up to 3 % faster or slower for as
long as it is open (docs/benchmark-fidelity.md), and no number of rounds shows that: a repetition is
one observation, its median ratio, and the interval is Student's over repetitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from onnxproof.records import Ratio

CONFIDENCE: Final = 0.99
"""So that a model is called slower than itself once in two hundred comparisons."""
FEWEST_REPETITIONS: Final = 2
"""One has no spread, so there is nothing to say of chance."""

Samples = Sequence[Sequence[float]]
"""Milliseconds of one runner under one condition (provider, binding, point), by repetition."""


class Interval(NamedTuple):
    """An estimate, and the ends of its confidence interval."""

    ratio: float
    low: float
    high: float


def ratio_over_repetitions(ours: Sequence[Samples], theirs: Sequence[Samples]) -> Interval:
    """Our latency over theirs, from one list of repetitions for each condition.

    A repetition's observation is the geometric mean over its conditions. Repetitions and rounds
    that only one of both took part in, at the end, are left out.
    """
    return students(_logs(ours, theirs))


def students(logs: Sequence[float]) -> Interval:
    """The ratio from one logarithm for each repetition, with Student's interval."""
    import numpy as np
    from scipy.special import stdtrit  # scipy.stats takes 1.6 s to import

    center = float(np.mean(logs))
    spread = float(np.std(logs, ddof=1)) / len(logs) ** 0.5
    reach = spread * float(stdtrit(len(logs) - 1, (1 + CONFIDENCE) / 2))
    return Interval(*(float(np.exp(log)) for log in (center, center - reach, center + reach)))


def compare(samples: Mapping[str, Sequence[Samples]]) -> tuple[Ratio, ...]:
    """Every runner over the one with the lowest latency, lowest first; that one is left out.

    Args:
        samples: By runner, a list of repetitions for each condition.

    Returns:
        Empty for a single runner, and where there was one repetition only.
    """
    if len(samples) < 2 or min(map(_repetitions, samples.values())) < FEWEST_REPETITIONS:
        return ()
    # Own medians would compare the quiet minutes of one that left early with the slow ones of those
    # that stayed, so all are scored by pairs with one that took part to the end.
    stayed = max(samples.values(), key=_repetitions)
    scores = {name: students(_logs(sample, stayed)).ratio for name, sample in samples.items()}
    best = min(scores, key=lambda name: scores[name])
    ratios = [
        ratio_of(name, sample, best, samples[best])
        for name, sample in samples.items()
        if name != best
    ]
    return tuple(sorted(ratios, key=lambda ratio: ratio.ratio))


def ratio_of(
    runner: str, ours: Sequence[Samples], over: str, theirs: Sequence[Samples], where: str = ""
) -> Ratio:
    """One runner over another, with its interval, repetitions and rounds."""
    logs = _logs(ours, theirs)
    rounds = sum(
        min(len(mine), len(other))
        for condition in zip(ours, theirs, strict=True)
        for mine, other in zip(*condition, strict=False)
    )
    return Ratio(
        runner=runner,
        over=over,
        rounds=rounds,
        repetitions=len(logs),
        where=where,
        **students(logs)._asdict(),
    )


def _logs(ours: Sequence[Samples], theirs: Sequence[Samples]) -> list[float]:
    """For each repetition, the mean over conditions of the median log ratio of its rounds."""
    import numpy as np

    conditions = [
        [_median_log(mine, other) for mine, other in zip(*condition, strict=False)]
        for condition in zip(ours, theirs, strict=True)
    ]
    repetitions = min(map(len, conditions))
    means = np.mean([logs[:repetitions] for logs in conditions], axis=0)
    return [float(mean) for mean in means]


def _median_log(ours: Sequence[float], theirs: Sequence[float]) -> float:
    import numpy as np

    rounds = min(len(ours), len(theirs))
    return float(np.median(np.log(np.divide(ours[:rounds], theirs[:rounds]))))


def _repetitions(conditions: Sequence[Samples]) -> int:
    return min(map(len, conditions), default=0)
