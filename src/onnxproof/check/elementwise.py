"""How far ONNX Runtime's outputs are from PyTorch's, and whether that is too far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.records import Basis, Noise, OutputParity, Rounding
from onnxproof.spec import Provider, Spec, Tolerance

if TYPE_CHECKING:
    import numpy as np

MULTIPLE: Final = 20
"""Of PyTorch's own noise that the graph may be away.

Another order of the same additions gives another answer that is about as far from the exact one, so
two implementations differ by about twice the noise (docs/tolerance.md has what was measured).
"""
UNKNOWN: Final = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
"""A share of the output's magnitude where no noise could be measured."""
LEAST_ULPS: Final = {"float16": 4, "float32": 32, "float64": 32}
"""Of the largest magnitude: a model without additions has no noise, and ``exp`` still differs."""
MOST: Final = {"float16": 5e-2, "float32": 1e-2, "float64": 1e-4}
"""A share of the magnitude beyond which no noise excuses a difference."""
MULTIPLE_OF_ROUNDING: Final = 4
"""Of what rounding does to PyTorch that a provider may be away: it rounds the same operands, and
some between them, in another order (docs/tolerance.md has what was measured)."""
UNKNOWN_ROUNDING: Final = {"tf32": 1e-2, "float16": 1e-2, "bfloat16": 8e-2}
"""A share of the output's magnitude where forward did not run with rounded products."""
MOST_ROUNDING: Final = 1e-1
"""A share of the magnitude beyond which no rounding excuses a difference."""
ULPS_FROM: Final = 1e-3
"""Of the largest magnitude; a distance in ULPs near zero tells nothing of the model."""


class Budget(NamedTuple):
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``."""

    atol: float
    rtol: float
    basis: Basis
    allow_nonfinite: bool = False


def budget_for(
    spec: Spec, name: str, expected: Sequence[np.ndarray], noise: Noise | None
) -> Budget:
    """What output ``name`` is held to in every sample.

    A tolerance in the spec overrides. Otherwise integers and booleans must be equal: a share of a
    token's number is another token. A float output may be ``MULTIPLE`` of PyTorch's noise away, as
    a share of its magnitude, which is the median over samples of the largest one, so that one
    number serves the check, the proof and every replay.
    """
    import numpy as np

    output = spec.outputs.get(name)
    nonfinite = output is not None and output.nonfinite == "allow"
    if output is not None and isinstance(output.tolerance, Tolerance):
        return Budget(output.tolerance.atol, output.tolerance.rtol, "spec", nonfinite)
    if expected[0].dtype.kind != "f":
        return Budget(0.0, 0.0, "exact")
    if isinstance(spec.check.tolerance, Tolerance):
        return Budget(spec.check.tolerance.atol, spec.check.tolerance.rtol, "spec", nonfinite)
    dtype = str(expected[0].dtype)
    scale = _scale_of(expected)
    share, basis = UNKNOWN[dtype], "dtype"
    if noise is not None:
        noisy = MULTIPLE * noise.max_abs / scale if scale else 0.0
        least = LEAST_ULPS[dtype] * float(np.finfo(dtype).eps)
        share, basis = min(max(noisy, least), MOST[dtype]), "noise"
    return Budget(share * scale, share, basis, nonfinite)  # type: ignore[arg-type]


def budget_on(
    provider: Provider,
    precision: str,
    usual: Budget,
    expected: Sequence[np.ndarray],
    rounding: Rounding | None,
) -> Budget:
    """What an output is held to on a provider whose products may round to ``precision``.

    A tolerance of the provider in the spec overrides. A tolerance of the whole check and equality
    stay as they are. In float32 it is the usual one.
    """
    if isinstance(provider.tolerance, Tolerance):
        if usual.basis == "exact":
            return usual
        given = provider.tolerance
        return Budget(given.atol, given.rtol, "spec", usual.allow_nonfinite)
    if precision == "float32" or usual.basis in {"spec", "exact"}:
        return usual
    scale = _scale_of(expected)
    share = UNKNOWN_ROUNDING[precision]
    if rounding is not None:
        share = MULTIPLE_OF_ROUNDING * rounding.max_abs / scale if scale else 0.0
    share = min(max(share, usual.rtol), MOST_ROUNDING)
    return Budget(share * scale, share, "rounding", usual.allow_nonfinite)


def compare(
    name: str, expected: np.ndarray, actual: np.ndarray, budget: Budget, set_name: str
) -> OutputParity:
    """Parity of one output for one sample.

    NaN and infinity count as mismatched; where they are allowed, unless both sides have the same at
    the same place. The arrays have the same shape and dtype; the difference is taken in float64,
    which holds no integer beyond 2**53, so integers that must be equal are compared as they are.
    """
    import numpy as np

    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    alike = np.isnan(wanted) & np.isnan(found) | (wanted == found) & ~np.isfinite(wanted)
    settled = alike if budget.allow_nonfinite else np.zeros_like(alike)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        difference = np.asarray(np.abs(found - wanted))  # of 0-dim arrays NumPy makes a scalar
        difference[~np.isfinite(difference)] = np.inf
        difference[settled] = 0.0
        allowed = np.where(np.isfinite(wanted), budget.atol + budget.rtol * np.abs(wanted), 0.0)
        used = np.where(difference == 0, 0.0, difference / allowed)
    if budget.basis == "exact":
        bad = np.asarray(expected != actual)
    else:
        bad = ~settled & ((difference > allowed) | ~np.isfinite(found) | ~np.isfinite(wanted))
    worst = np.unravel_index(int(np.argmax(difference)), difference.shape) if expected.size else ()
    finite = np.abs(wanted[np.isfinite(wanted)])
    rows, same = _top1(expected, actual)
    return OutputParity(
        name=name,
        dtype=str(expected.dtype),
        samples=1,
        max_abs_diff=_largest(difference),
        max_rel_diff=_relative(_largest(difference), _largest(finite)),
        max_ulp=_ulps(expected, difference) if expected.dtype.kind == "f" else None,
        cosine=_cosine(wanted, found),
        sqnr_db=_sqnr_db(wanted, difference),
        mismatched=int(bad.sum()),
        elements=expected.size,
        rows=rows,
        same_top1=same,
        atol=budget.atol,
        rtol=budget.rtol,
        basis=budget.basis,
        budget_used=_largest(used),
        allow_nonfinite=budget.allow_nonfinite,
        worst_set=set_name,
        worst_index=tuple(int(index) for index in worst),
    )


def merge(one: OutputParity, other: OutputParity) -> OutputParity:
    """Parity over the samples of both."""
    worst = other if other.max_abs_diff > one.max_abs_diff else one
    most = ("max_rel_diff", "max_ulp", "budget_used")
    total = ("samples", "mismatched", "elements", "rows", "same_top1")
    least = ("cosine", "sqnr_db")
    merged: dict[str, float | None] = {}
    for names, pick in ((most, max), (total, lambda pair: pair[0] + pair[1]), (least, min)):
        for name in names:
            pair = [value for row in (one, other) if (value := getattr(row, name)) is not None]
            merged[name] = pick(pair) if len(pair) == 2 else next(iter(pair), None)
    return worst.model_copy(update=merged)


def _scale_of(expected: Sequence[np.ndarray]) -> float:
    """The median over samples of the largest magnitude."""
    import numpy as np

    return float(np.median([_largest(np.abs(array[np.isfinite(array)])) for array in expected]))


def _largest(array: np.ndarray) -> float:
    import numpy as np

    return float(np.max(array, initial=0.0))


def _relative(difference: float, scale: float) -> float:
    """``difference`` as a share of the largest magnitude that PyTorch gave."""
    if difference == 0:
        return 0.0
    return difference / scale if 0 < scale < float("inf") else float("inf")


def _ulps(expected: np.ndarray, difference: np.ndarray) -> float:
    """Largest distance in units in the last place, among elements that are not near zero."""
    import numpy as np

    size = np.abs(np.where(np.isfinite(expected), expected, 0))
    counted = size >= max(ULPS_FROM * _largest(size), float(np.finfo(size.dtype).tiny))
    return _largest(difference[counted] / np.spacing(size[counted]).astype(np.float64))


def _cosine(wanted: np.ndarray, found: np.ndarray) -> float | None:
    """Of the two as vectors; None where one is zero or not finite."""
    import numpy as np

    one, other = wanted.ravel(), found.ravel()
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / lengths if 0 < lengths < float("inf") else None


def _sqnr_db(wanted: np.ndarray, difference: np.ndarray) -> float | None:
    """Signal over difference, in power; None where nothing differs."""
    import numpy as np

    signal, off = float(np.sum(np.square(wanted))), float(np.sum(np.square(difference)))
    if not off or not signal or not np.isfinite(signal):
        return None
    return 10 * float(np.log10(signal / off)) if np.isfinite(off) else -float("inf")


def _top1(expected: np.ndarray, actual: np.ndarray) -> tuple[int | None, int | None]:
    """Rows along the last axis, and how many have their largest element at the same place."""
    if expected.dtype.kind != "f" or expected.ndim < 2 or expected.shape[-1] < 2:
        return None, None
    same = expected.argmax(axis=-1) == actual.argmax(axis=-1)
    return same.size, int(same.sum())
