"""What elements of each magnitude class are allowed, from the noise among them or from a share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from onnxproof.records import ClassBudget, ClassNoise
from onnxproof.samples.magnitude import ZERO, ClassStatistics, low_of

LEAST_ELEMENTS: Final = 64
"""Measured in a class, for its noise to be its own; fewer may have been lucky."""
LONE: Final = 1000
"""Of so many elements one lies by chance so near zero that it is in a class of its own."""
MOST_RMS_SHARE: Final = 0.01
"""Of a class's magnitude that its elements may differ by as a whole."""
RMS_MULTIPLE: Final = 6
"""Of PyTorch's noise that they may differ by as a whole where that is more."""


def by_noise(
    statistics: Mapping[int, ClassStatistics],
    measured: Iterable[ClassNoise],
    multiple: float,
    least: float,
) -> tuple[ClassBudget, ...]:
    """Of each class a multiple of its noise, and at least ``least`` of its magnitude.

    Elements that were not measured may be what elements of the class above canceled to, and are as
    noisy as those; so few of them that they can be told by their number move the whole a little.
    """
    noise = {row.low: row for row in measured}
    found: dict[int, ClassBudget] = {}
    taken: dict[int, tuple[float, float]] = {}  # the largest, and the root mean square
    for number in _from_large_to_small(statistics):
        own, seen = noise.get(low_of(number)), statistics[number]
        largest, rms, canceled = (own.max_abs, own.rms, 0.0) if own else (0.0, 0.0, 0.0)
        above = _class_above(number, statistics)
        if above is not None:
            if own is None or own.elements < max(LEAST_ELEMENTS, seen.elements):
                largest = max(largest, taken[above][0])
                canceled = largest * min(1.0, _lone(above, statistics) / seen.elements) ** 0.5
            if own is None or own.elements < LEAST_ELEMENTS:
                rms = max(rms, taken[above][1])
        elif own is None:
            largest, rms = _as_a_share(number, statistics, noise)
        taken[number] = largest, rms
        atol = max(multiple * largest, least * seen.rms)
        limit = max(MOST_RMS_SHARE * seen.rms, RMS_MULTIPLE * max(rms, canceled))
        found[number] = _budget(number, seen, atol, limit)
    zeros = noise.get(0.0)
    return _with_zeros(found, statistics, multiple * zeros.max_abs if zeros else 0.0)


def by_share(statistics: Mapping[int, ClassStatistics], share: float) -> tuple[ClassBudget, ...]:
    """Of each class a share of its magnitude, or of the largest from which no gap parts it.

    Where the noise is not known, small elements may be what large ones canceled to.
    """
    found: dict[int, ClassBudget] = {}
    for number in _from_large_to_small(statistics):
        seen = statistics[number]
        above = _class_above(number, statistics)
        atol = max(share * seen.rms, found[above].atol if above is not None else 0.0)
        found[number] = _budget(number, seen, atol)
    return _with_zeros(found, statistics, 0.0)


def _from_large_to_small(statistics: Mapping[int, ClassStatistics]) -> list[int]:
    return sorted((number for number in statistics if number != ZERO), reverse=True)


def _class_above(number: int, statistics: Mapping[int, ClassStatistics]) -> int | None:
    """The class whose noise elements of ``number`` may have as well; None where there is none.

    That is the next one. Across an empty class a few elements alone are taken for large ones that
    canceled.
    """
    larger = [other for other in statistics if other > number]
    if not larger:
        return None
    nearest = min(larger)
    few = statistics[number].elements <= _lone(nearest, statistics)
    return nearest if nearest == number + 1 or few else None


def _lone(number: int, statistics: Mapping[int, ClassStatistics]) -> int:
    """Elements of a class that may by chance lie so near zero that they are in one below."""
    return max(1, statistics[number].elements // LONE)


def _as_a_share(
    number: int, statistics: Mapping[int, ClassStatistics], noise: Mapping[float, ClassNoise]
) -> tuple[float, float]:
    """Noise of a class that no measured sample has, as a share of its size: that of the others."""
    rms = statistics[number].rms
    shares = [
        (row.max_abs / statistics[other].rms * rms, row.rms / statistics[other].rms * rms)
        for other in statistics
        if other != ZERO and (row := noise.get(low_of(other)))
    ]
    return max(shares, default=(0.0, 0.0))


def _with_zeros(
    found: Mapping[int, ClassBudget], statistics: Mapping[int, ClassStatistics], own: float
) -> tuple[ClassBudget, ...]:
    """The classes, smallest first; zeros are held to what the smallest numbers are."""
    rows = [found[number] for number in sorted(found)]
    if ZERO in statistics:
        atol = max(own, rows[0].atol if rows else 0.0)
        rows.insert(0, _budget(ZERO, statistics[ZERO], atol))
    return tuple(rows)


def _budget(
    number: int, seen: ClassStatistics, atol: float, max_rms_diff: float | None = None
) -> ClassBudget:
    return ClassBudget(
        low=low_of(number),
        elements=seen.elements,
        rms=seen.rms,
        atol=atol,
        max_rms_diff=max_rms_diff,
    )
