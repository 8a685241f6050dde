"""The magnitude classes of an output: its elements by size, a factor of 1024 in each class.

What is allowed to an element follows from others of its own size. A mask's -1e9 beside logits says
nothing of how exact the logits are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np

BITS: Final = 10
"""Of an exponent in one class: a factor of 1024."""
ZERO: Final = -(2**20)
"""The class of zeros, below every other."""
FAR: Final = 1000.0
"""A fill is this many times as large as the root mean square of what is smaller."""
MANY: Final = 8
"""Places at which a fill stands, over all samples."""
MOST_FILLS: Final = 8
"""Different ones in one output; more different large values are numbers that were computed."""


class ClassStatistics(NamedTuple):
    """Of the elements of one class, fills left out."""

    elements: int
    rms: float


def low_of(number: int) -> float:
    """The least magnitude in class ``number``; 0 in the class of zeros."""
    return 0.0 if number == ZERO else 2.0 ** (BITS * number)


def class_numbers(array: np.ndarray) -> np.ndarray:
    """The class of every element, int64, in the shape of ``array``; of finite ones only it counts.

    Class ``k`` holds magnitudes from ``1024**k`` up to ``1024**(k + 1)``. Exponents are read off
    the number, so that every machine finds the same.
    """
    import numpy as np

    magnitudes = np.abs(array.astype(np.float64))
    exponents = np.frexp(np.where(np.isfinite(magnitudes), magnitudes, 0.0))[1].astype(np.int64)
    return np.where(magnitudes == 0, ZERO, (exponents - 1) // BITS)


def fills_of(arrays: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Values that stand for no number: bit-identical at many places, far above all the rest.

    Such as -1e9 or the lowest number of the dtype where a mask forbids a logit.

    Args:
        arrays: One output over all samples.
    """
    import numpy as np

    flat = [array[np.isfinite(array)].astype(np.float64) for array in arrays]
    values, counts = np.unique(np.concatenate([*flat, np.zeros(0)]), return_counts=True)
    found: list[float] = []
    while values.size:
        magnitudes = np.abs(values)
        top = magnitudes > magnitudes.max() / FAR
        if not top.any() or top.all() or top.sum() > MOST_FILLS or counts[top].min() < 2:
            break
        # Relative to the top: the squares of the largest float64 are infinite.
        scale = float(magnitudes[top].min())
        rest = np.sum(np.square(values[~top] / scale) * counts[~top]) / counts[~top].sum()
        if counts[top].sum() < MANY or np.sqrt(rest) * FAR > 1:
            break
        found += [float(value) for value in values[top]]
        values, counts = values[~top], counts[~top]
    return tuple(found)


def is_fill(array: np.ndarray, fills: Sequence[float]) -> np.ndarray:
    """Where ``array`` holds one of ``fills``; booleans in its shape."""
    import numpy as np

    return np.isin(array.astype(np.float64), fills) if fills else np.zeros(array.shape, np.bool_)


def class_statistics(
    arrays: Sequence[np.ndarray], fills: Sequence[float]
) -> dict[int, ClassStatistics]:
    """By class, lowest first, of one output over all samples; classes without elements left out."""
    import numpy as np

    totals: dict[int, list[float]] = {}
    for array in arrays:
        counted = np.isfinite(array) & ~is_fill(array, fills)
        magnitudes = np.abs(array[counted].astype(np.float64))
        numbers = class_numbers(magnitudes)
        for number in np.unique(numbers):
            scaled = magnitudes[numbers == number] / (low_of(int(number)) or 1.0)
            total = totals.setdefault(int(number), [0, 0.0])
            total[0] += scaled.size
            total[1] += float(np.sum(np.square(scaled)))
    return {
        number: ClassStatistics(int(count), low_of(number) * (squares / count) ** 0.5)
        for number, (count, squares) in sorted(totals.items())
    }
