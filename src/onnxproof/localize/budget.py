"""How far a tensor inside of a graph may be from its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.check import budget as check
from onnxproof.check.budget import UNKNOWN, budget_by_share, budget_of, one_class
from onnxproof.records import OutputParity

if TYPE_CHECKING:
    import numpy as np

LEAST_SHARE: Final = 0.1
"""Of the usual tolerance: what a narrower one of an output would catch inside is rounding."""
ENDLESS: Final = 1e30
"""Masks stand for minus infinity by such numbers; they are no measure of a tensor's magnitude."""


class Gap(NamedTuple):
    """The element that is furthest off."""

    max_abs_diff: float
    budget: float
    worst_index: tuple[int, ...]
    reason: str = ""  # where it is not a matter of elements


class Budget:
    """Of an output its own tolerance; of any other tensor the same share of its magnitude."""

    def __init__(self, rows: Sequence[OutputParity], expected: Mapping[str, np.ndarray]) -> None:
        self._outputs = {row.name: budget_of(row) for row in rows}
        shares = [
            max(wrong.atol / scale, row.rtol)
            for row in rows
            for wrong in row.classes
            if wrong.mismatched and row.dtype in UNKNOWN and row.name in expected
            if (scale := wrong.rms or _magnitude(expected[row.name]))
        ]
        self._share = min(shares, default=None)

    def gap(self, name: str, expected: np.ndarray, found: np.ndarray) -> Gap | None:
        """How far off ``found`` is, or None within the budget.

        NaN is no difference to NaN, nor infinity to infinity: a mask inside may have them.
        """
        import numpy as np

        if expected.size == found.size == 1:
            expected = expected.reshape(found.shape)  # a Python number beside a tensor
        if expected.shape != found.shape:
            reason = f"its shape is {list(found.shape)}, and should be {list(expected.shape)}"
            return Gap(float("inf"), 0.0, (), reason)
        wanted, given = expected.astype(np.float64), found.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.asarray(np.abs(given - wanted))
            allowed = self._budget(name, expected).allowed(wanted)
        difference[np.asarray((wanted == given) | (np.isnan(wanted) & np.isnan(given)))] = 0.0
        difference[~np.isfinite(difference)] = np.inf
        bad = difference > allowed
        if not bad.any():
            return None
        # Of what is beyond, the worst; next to a large value a larger difference may be allowed.
        index = np.unravel_index(int(np.argmax(np.where(bad, difference, -1.0))), bad.shape)
        worst = tuple(int(coordinate) for coordinate in index)
        return Gap(float(difference[index]), float(allowed[index]), worst)

    def _budget(self, name: str, expected: np.ndarray) -> check.Budget:
        if name in self._outputs:
            return self._outputs[name]
        if expected.dtype.kind != "f":
            return one_class(0.0, 0.0, "exact")
        usual = UNKNOWN[str(expected.dtype)]
        share = usual if self._share is None else max(self._share, LEAST_SHARE * usual)
        return budget_by_share(expected, share)


def _magnitude(array: np.ndarray) -> float:
    """The largest one that stands for a number."""
    import numpy as np

    values = np.abs(array.astype(np.float64))
    return float(np.max(values, initial=0.0, where=values < ENDLESS))
