"""How far ONNX Runtime's outputs are from PyTorch's, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onnxproof.check.budget import Budget
from onnxproof.check.class_budget import LEAST_ELEMENTS
from onnxproof.records import ClassParity, FillParity, OutputParity

if TYPE_CHECKING:
    import numpy as np

ULPS_FROM: Final = 1e-3
"""Of the largest magnitude; a distance in ULPs near zero tells nothing of the model."""


class Comparison:
    """One output against PyTorch's over the samples that were added.

    NaN and infinity count as mismatched; where they are allowed, unless both sides have the same at
    the same place. The difference is taken in float64, which holds no integer beyond 2**53, so
    integers that must be equal are compared as they are.
    """

    def __init__(self, name: str, budget: Budget) -> None:
        import numpy as np

        self.name, self.budget = name, budget
        self.dtype = ""
        self.samples = self.elements = self.mismatched = 0
        self.max_abs_diff = self.largest = self.used = self.worst_diff = 0.0
        self.max_ulp: float | None = None
        self.worst: tuple[str, tuple[int, ...], int] | None = None  # its place, and its class
        count = max(len(budget.classes), 1)
        # elements, largest difference, sums of squares (difference, torch, onnx), of products
        self.sums = np.zeros((count, 6))
        self.wrong = np.zeros(count, np.int64)
        self.fills = np.zeros((len(budget.fills), 3))  # elements, largest difference, mismatched
        self.top1 = np.zeros((count, 2), np.int64)  # rows, and those alike

    def add(self, expected: np.ndarray, actual: np.ndarray, set_name: str) -> None:
        """One more sample; the arrays have the same shape and dtype."""
        import numpy as np

        budget = self.budget
        wanted, found = expected.astype(np.float64), actual.astype(np.float64)
        alike = np.isnan(wanted) & np.isnan(found) | (wanted == found) & ~np.isfinite(wanted)
        settled = alike if budget.allow_nonfinite else np.zeros_like(alike)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            difference = np.asarray(np.abs(found - wanted))  # of 0-dim arrays NumPy makes a scalar
            difference[~np.isfinite(difference)] = np.inf
            difference[settled] = 0.0
            allowed = budget.allowed(wanted)
            used = np.asarray(np.where(difference == 0, 0.0, difference / allowed))
        classes = budget.indices(wanted)
        if budget.basis == "exact":
            bad = np.asarray(expected != actual)
        else:
            bad = ~settled & ((difference > allowed) | ~np.isfinite(found) | ~np.isfinite(wanted))
        self.dtype = str(expected.dtype)
        self.samples += 1
        self.elements += expected.size
        self.mismatched += int(bad.sum())
        self.max_abs_diff = max(self.max_abs_diff, _largest(difference))
        self._note_worst(difference, np.where(bad, np.inf, used), used, classes, set_name)
        fill = self._note_fills(wanted, difference, bad)
        self._note_classes(wanted, found, difference, np.where(fill, -1, classes), bad)
        if expected.dtype.kind == "f":
            self._note_ulps(expected, difference, fill)
            self._note_top1(expected, actual, classes, fill)

    def _note_worst(
        self,
        difference: np.ndarray,
        severity: np.ndarray,
        used: np.ndarray,
        classes: np.ndarray,
        set_name: str,
    ) -> None:
        """Keep the element that uses most of what it is allowed, of equals the furthest off."""
        import numpy as np

        if not difference.size:
            if self.worst is None:
                self.worst = set_name, (), 0
            return
        most = severity == severity.max()
        flat = int(np.argmax(np.where(most, difference, -1.0)))
        share, off = float(used.flat[flat]), float(difference.flat[flat])
        if self.worst is None or (share, off) > (self.used, self.worst_diff):
            place = np.unravel_index(flat, difference.shape) if difference.ndim else ()
            index = tuple(int(coordinate) for coordinate in place)
            self.worst = set_name, index, int(classes.flat[flat])
            self.worst_diff, self.used = off, max(self.used, share)

    def _note_fills(
        self, wanted: np.ndarray, difference: np.ndarray, bad: np.ndarray
    ) -> np.ndarray:
        """Count the fills; where they stand."""
        import numpy as np

        fill = np.zeros(wanted.shape, np.bool_)
        for number, (value, _) in enumerate(self.budget.fills):
            here = wanted == value
            fill |= here
            self.fills[number] += (here.sum(), 0, bad[here].sum())
            self.fills[number, 1] = max(self.fills[number, 1], _largest(difference[here]))
        return fill

    def _note_classes(
        self,
        wanted: np.ndarray,
        found: np.ndarray,
        difference: np.ndarray,
        classes: np.ndarray,
        bad: np.ndarray,
    ) -> None:
        """Sums over the elements of each class; fills are in none, with -1."""
        import numpy as np

        for number in np.unique(classes[classes >= 0]):
            here = classes == number
            self.wrong[number] += int(bad[here].sum())
            here &= np.isfinite(wanted)
            one, other, off = wanted[here], found[here], difference[here]
            with np.errstate(invalid="ignore", over="ignore"):
                self.sums[number] += (
                    one.size, 0, *(float(np.sum(a * b)) for a, b in
                                   ((off, off), (one, one), (other, other), (one, other))),
                )  # fmt: skip
            self.sums[number, 1] = max(self.sums[number, 1], _largest(off))
            self.largest = max(self.largest, _largest(np.abs(one)))

    def _note_ulps(self, expected: np.ndarray, difference: np.ndarray, fill: np.ndarray) -> None:
        """The largest distance in units in the last place, among elements that are not near 0."""
        import numpy as np

        size = np.abs(np.where(np.isfinite(expected) & ~fill, expected, 0))
        counted = size >= max(ULPS_FROM * _largest(size), float(np.finfo(size.dtype).tiny))
        ulps = _largest(difference[counted] / np.spacing(size[counted]).astype(np.float64))
        self.max_ulp = max(self.max_ulp or 0.0, ulps)

    def _note_top1(
        self, expected: np.ndarray, actual: np.ndarray, classes: np.ndarray, fill: np.ndarray
    ) -> None:
        """Rows along the last axis by the class of their largest element, fills left out."""
        import numpy as np

        if expected.ndim < 2 or expected.shape[-1] < 2 or not expected.size:
            return
        first = np.where(fill, -np.inf, expected).argmax(axis=-1)
        same = first == np.where(fill, -np.inf, actual).argmax(axis=-1)
        winners = np.take_along_axis(classes, first[..., None], axis=-1)[..., 0]
        for number in np.unique(winners):
            here = winners == number
            self.top1[number] += (here.sum(), same[here].sum())

    def result(self) -> OutputParity:
        """What was found so far; of float outputs the class that does worst stands for all."""
        set_name, index, number = self.worst or ("", (), 0)
        cosine, sqnr_db = self._closeness()
        rows = [(int(rows), int(same)) for rows, same in self.top1 if rows]
        top1 = min(rows, key=lambda pair: pair[1] / pair[0], default=(None, None))
        return OutputParity(
            name=self.name,
            dtype=self.dtype,
            samples=self.samples,
            max_abs_diff=self.max_abs_diff,
            max_rel_diff=_relative(self.max_abs_diff, self.largest),
            max_ulp=self.max_ulp,
            cosine=cosine,
            sqnr_db=sqnr_db,
            mismatched=self.mismatched,
            elements=self.elements,
            rows=top1[0],
            same_top1=top1[1],
            atol=self.budget.classes[number].atol if self.budget.classes else 0.0,
            rtol=self.budget.rtol,
            basis=self.budget.basis,
            budget_used=self.used,
            allow_nonfinite=self.budget.allow_nonfinite,
            classes=tuple(self._class_rows()),
            fills=tuple(
                FillParity(
                    value=value,
                    elements=int(elements),
                    atol=atol,
                    max_abs_diff=float(largest),
                    mismatched=int(mismatched),
                )
                for (value, atol), (elements, largest, mismatched) in zip(
                    self.budget.fills, self.fills, strict=True
                )
            ),
            worst_set=set_name,
            worst_index=index,
            worst_diff=self.worst_diff,
        )

    def _class_rows(self) -> list[ClassParity]:
        return [
            ClassParity(
                low=row.low,
                elements=row.elements,
                rms=row.rms,
                atol=row.atol,
                max_rms_diff=row.max_rms_diff,
                max_abs_diff=float(sums[1]),
                rms_diff=float((sums[2] / sums[0]) ** 0.5) if sums[0] else 0.0,
                mismatched=int(wrong),
            )
            for row, sums, wrong in zip(self.budget.classes, self.sums, self.wrong, strict=False)
        ]

    def _closeness(self) -> tuple[float | None, float | None]:
        """The least cosine and SQNR of a class; of the largest, and of those with many elements."""
        import numpy as np

        cosines, ratios = [], []
        for number, (elements, _, off, one, other, product) in enumerate(self.sums):
            if elements < LEAST_ELEMENTS and number < len(self.sums) - 1:
                continue
            lengths = float(np.sqrt(one)) * float(np.sqrt(other))
            if 0 < lengths < float("inf"):
                cosines.append(float(product) / lengths)
            if off and one and np.isfinite(one):
                finite = np.isfinite(off)
                ratios.append(10 * float(np.log10(one / off)) if finite else -float("inf"))
        return min(cosines, default=None), min(ratios, default=None)


def _largest(array: np.ndarray) -> float:
    import numpy as np

    return float(np.max(array, initial=0.0))


def _relative(difference: float, scale: float) -> float:
    """``difference`` as a share of the largest magnitude that PyTorch gave."""
    if difference == 0:
        return 0.0
    return difference / scale if 0 < scale < float("inf") else float("inf")
