"""How far one output is from PyTorch's, and what it was held to."""

from __future__ import annotations

from typing import Final, Literal

from onnxproof.records.base import Difference, Record

Basis = Literal["noise", "rounding", "dtype", "spec", "exact"]
"""What a budget was made from: PyTorch's noise, its rounding, a constant, the spec; or none."""


class ClassBudget(Record):
    """What the elements of one magnitude class are held to.

    It holds magnitudes from ``low`` up to the ``low`` of the next class; the first one, what is
    smaller too.
    """

    low: float
    elements: int
    rms: float  # of PyTorch's elements
    atol: float
    max_rms_diff: float | None = None  # of their differences; None where nothing says how far


class ClassParity(ClassBudget):
    """Elements of one magnitude class, over all samples: what they were held to, and how they did.

    ``rms_diff`` is held to ``max_rms_diff``.
    """

    max_abs_diff: Difference = 0.0
    rms_diff: Difference = 0.0
    mismatched: int = 0  # elements


class FillParity(Record):
    """A value that stands for no number, such as -1e9 at masked places; not in any class."""

    value: float
    elements: int
    atol: float
    max_abs_diff: Difference = 0.0
    mismatched: int = 0


class OutputParity(Record):
    """Largest disagreement between PyTorch and ONNX Runtime for one output, over all samples."""

    name: str
    dtype: str
    samples: int
    max_abs_diff: Difference
    max_rel_diff: Difference
    max_ulp: Difference | None = None  # of float outputs
    cosine: float | None = None  # of the class with the least one
    sqnr_db: Difference | None = None  # likewise; None where nothing differs
    mismatched: int  # elements with |onnx - torch| > atol + rtol * |torch|
    elements: int
    rows: int | None = None  # of float outputs with an axis to choose along, such as logits
    same_top1: int | None = None  # rows whose largest element is at the same place
    atol: float  # of the class that comes closest to what it is allowed
    rtol: float
    basis: Basis = "dtype"
    budget_used: Difference | None = (
        None  # the smallest budget that would pass, as a share of this one
    )
    allow_nonfinite: bool = False  # NaN and infinity pass where PyTorch gives the same
    classes: tuple[ClassParity, ...] = ()  # smallest first
    fills: tuple[FillParity, ...] = ()
    worst_set: str  # the test_data_set of the element that comes closest to what it is allowed
    worst_index: tuple[int, ...]
    worst_diff: Difference = 0.0  # of that element

    @property
    def beyond_rms(self) -> ClassParity | None:
        """The first class whose elements differ too much as a whole; None where none does."""
        return next(
            (
                row
                for row in self.classes
                if row.max_rms_diff is not None and row.rms_diff > row.max_rms_diff
            ),
            None,
        )


BASES: Final[dict[Basis, str]] = {
    "noise": "from PyTorch's own noise against float64",
    "rounding": "from what rounded products do to PyTorch",
    "dtype": "by dtype, since the noise is not known",
    "spec": "as the spec asks",
    "exact": "must be equal",
}
