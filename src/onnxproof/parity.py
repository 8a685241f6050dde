"""How far ONNX Runtime's outputs are from PyTorch's, and whether that is too far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from onnxproof.records import OutputParity
from onnxproof.spec import Spec, Tolerance

if TYPE_CHECKING:
    import numpy as np

AUTO: Final = {"float16": (1e-2, 1e-2), "float32": (1e-4, 1e-4), "float64": (1e-10, 1e-10)}
"""By dtype: atol as a share of the output's usual magnitude, and rtol.

Float32 outputs of nine real models, exported in four ways, lay within 1e-4 of their largest
magnitude (measured 2026-11); a layer whose weights are off by 0.1 % moves them ten times further.
"""


def tolerance_for(spec: Spec, name: str, expected: Sequence[np.ndarray]) -> tuple[float, float]:
    """``atol, rtol`` that output ``name`` is held to in every sample.

    Integers and booleans must be equal, whatever the spec allows: a share of a token's number is
    another token. ``auto`` takes the median over samples of the largest magnitude, so that one
    number serves the check, the proof and every replay.
    """
    import numpy as np

    if expected[0].dtype.kind != "f":
        return 0.0, 0.0
    own = spec.outputs[name].tolerance if name in spec.outputs else "auto"
    chosen = own if isinstance(own, Tolerance) else spec.check.tolerance
    if isinstance(chosen, Tolerance):
        return chosen.atol, chosen.rtol
    share, rtol = AUTO[str(expected[0].dtype)]
    scale = float(np.median([np.max(np.abs(array), initial=0.0) for array in expected]))
    return share * scale, rtol


def compare(
    name: str,
    expected: np.ndarray,
    actual: np.ndarray,
    tolerance: tuple[float, float],
    set_name: str,
) -> OutputParity:
    """Parity of one output for one sample; NaN and infinity always count as mismatched.

    The arrays have the same shape and dtype; the difference is taken in float64, which holds no
    integer beyond 2**53, so what is no float is also compared as it is.
    """
    import numpy as np

    atol, rtol = tolerance
    wanted, found = expected.astype(np.float64), actual.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.asarray(np.abs(found - wanted))  # of 0-dim arrays NumPy makes a scalar
        allowed = atol + rtol * np.abs(wanted)
    difference[~np.isfinite(difference)] = np.inf
    if expected.dtype.kind == "f":
        bad = (difference > allowed) | ~np.isfinite(found) | ~np.isfinite(wanted)
    else:
        bad = np.asarray(expected != actual)
    worst = np.unravel_index(int(np.argmax(difference)), difference.shape) if expected.size else ()
    largest = float(np.max(difference, initial=0.0))
    return OutputParity(
        name=name,
        dtype=str(expected.dtype),
        samples=1,
        max_abs_diff=largest,
        max_rel_diff=_relative(largest, float(np.max(np.abs(wanted), initial=0.0))),
        mismatched=int(bad.sum()),
        elements=expected.size,
        atol=atol,
        rtol=rtol,
        worst_set=set_name,
        worst_index=tuple(int(index) for index in worst),
    )


def _relative(difference: float, scale: float) -> float:
    """``difference`` as a share of the largest magnitude that PyTorch gave."""
    if difference == 0:
        return 0.0
    return difference / scale if 0 < scale < float("inf") else float("inf")


def merge(one: OutputParity, other: OutputParity) -> OutputParity:
    """Parity over the samples of both."""
    worst = other if other.max_abs_diff > one.max_abs_diff else one
    return worst.model_copy(
        update={
            "samples": one.samples + other.samples,
            "max_rel_diff": max(one.max_rel_diff, other.max_rel_diff),
            "mismatched": one.mismatched + other.mismatched,
            "elements": one.elements + other.elements,
        }
    )
