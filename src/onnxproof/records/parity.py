"""How far one output is from PyTorch's, and what it was held to."""

from __future__ import annotations

from typing import Final, Literal

from onnxproof.records.base import Difference, Record

Basis = Literal["noise", "rounding", "dtype", "spec", "exact"]
"""What a budget was made from: PyTorch's noise, its rounding, a constant, the spec; or none."""


class OutputParity(Record):
    """Largest disagreement between PyTorch and ONNX Runtime for one output, over all samples."""

    name: str
    dtype: str
    samples: int
    max_abs_diff: Difference
    max_rel_diff: Difference
    max_ulp: Difference | None = None  # of float outputs
    cosine: float | None = None  # the least of a sample
    sqnr_db: Difference | None = None  # likewise; None where nothing differs
    mismatched: int  # elements with |onnx - torch| > atol + rtol * |torch|
    elements: int
    rows: int | None = None  # of float outputs with an axis to choose along, such as logits
    same_top1: int | None = None  # rows whose largest element is at the same place
    atol: float
    rtol: float
    basis: Basis = "dtype"
    budget_used: Difference | None = (
        None  # the smallest budget that would pass, as a share of this one
    )
    allow_nonfinite: bool = False  # NaN and infinity pass where PyTorch gives the same
    worst_set: str  # the test_data_set of max_abs_diff
    worst_index: tuple[int, ...]


BASES: Final[dict[Basis, str]] = {
    "noise": "from PyTorch's own noise against float64",
    "rounding": "from what rounded products do to PyTorch",
    "dtype": "by dtype, since the noise is not known",
    "spec": "as the spec asks",
    "exact": "must be equal",
}
