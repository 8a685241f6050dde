"""What an element of an output is allowed to be away from PyTorch's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.check.class_budget import by_noise, by_share
from onnxproof.records import Basis, ClassBudget, ClassNoise, Noise, OutputParity, Rounding
from onnxproof.samples.magnitude import (
    class_statistics,
    fills_of,
)
from onnxproof.spec import Provider, Spec, Tolerance

if TYPE_CHECKING:
    import numpy as np

MULTIPLE: Final = 20
"""Of PyTorch's own noise that the graph may be away.

Another order of the same additions gives another answer that is about as far from the exact one, so
two implementations differ by about twice the noise (docs/tolerance.md has what was measured).
"""
UNKNOWN: Final = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-10}
"""A share of the magnitude where no noise could be measured."""
LEAST_ULPS: Final = {"float16": 4, "float32": 32, "float64": 32}
"""Of a class's magnitude: a model without additions has no noise, and ``exp`` still differs."""
MULTIPLE_OF_ROUNDING: Final = 4
"""Of what rounding does to PyTorch that a provider may be away: it rounds the same operands, and
some between them, in another order (docs/tolerance.md has what was measured)."""
UNKNOWN_ROUNDING: Final = {"tf32": 1e-2, "float16": 1e-2, "bfloat16": 8e-2}
"""A share of the magnitude where forward did not run with rounded products."""


class Budget(NamedTuple):
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``, ``atol`` of its class."""

    classes: tuple[ClassBudget, ...]
    rtol: float
    basis: Basis
    allow_nonfinite: bool = False
    fills: tuple[tuple[float, float], ...] = ()  # values that are no numbers, each with its atol

    def allowed(self, wanted: np.ndarray) -> np.ndarray:
        """How far each element may be away; nothing where ``wanted``, float64, is not finite."""
        import numpy as np

        atols = np.asarray([row.atol for row in self.classes] or [0.0])
        allowed = np.asarray(atols[self.indices(wanted)] + self.rtol * np.abs(wanted))
        for value, atol in self.fills:
            allowed[wanted == value] = atol
        allowed[~np.isfinite(wanted)] = 0.0
        return allowed

    def indices(self, wanted: np.ndarray) -> np.ndarray:
        """Which class each element belongs to, int64; what is below all, to the first."""
        import numpy as np

        magnitudes = np.abs(np.where(np.isfinite(wanted), wanted, 0.0))
        found = np.searchsorted([row.low for row in self.classes], magnitudes, "right")
        return np.maximum(np.asarray(found) - 1, 0)


def budget_of(row: OutputParity) -> Budget:
    """The budget that ``row`` was held to."""
    fills = tuple((fill.value, fill.atol) for fill in row.fills)
    return Budget(row.classes, row.rtol, row.basis, row.allow_nonfinite, fills)


def budget_by_share(expected: np.ndarray, share: float) -> Budget:
    """A share of the magnitude of each class of ``expected``, whose noise nobody measured."""
    fills = fills_of([expected])
    classes = by_share(class_statistics([expected], fills), share)
    return Budget(classes, share, "dtype", fills=tuple((fill, share * abs(fill)) for fill in fills))


def budget_by_noise(
    expected: np.ndarray, measured: Iterable[ClassNoise], multiple: float = MULTIPLE
) -> Budget:
    """A multiple of the noise that was measured in ``expected`` alone, class by class."""
    import numpy as np

    dtype = str(expected.dtype)
    least = LEAST_ULPS[dtype] * float(np.finfo(dtype).eps)
    fills = fills_of([expected])
    classes = by_noise(class_statistics([expected], fills), measured, multiple, least)
    return Budget(classes, least, "noise", fills=tuple((fill, least * abs(fill)) for fill in fills))


def wider(own: Budget, usual: Budget) -> Budget:
    """``own`` with nothing below what ``usual`` allows to elements of the same size."""
    import numpy as np

    def at_least(row: ClassBudget) -> ClassBudget:
        if not usual.classes:
            return row
        there = usual.classes[int(usual.indices(np.array(row.low)))]
        limits = [limit for limit in (row.max_rms_diff, there.max_rms_diff) if limit is not None]
        return _with_limits(row, max(row.atol, there.atol), max(limits, default=None))

    return own._replace(
        classes=tuple(map(at_least, own.classes)),
        rtol=max(own.rtol, usual.rtol),
        allow_nonfinite=usual.allow_nonfinite,
    )


def one_class(
    atol: float, rtol: float, basis: Basis, *, elements: int = 0, allow_nonfinite: bool = False
) -> Budget:
    """The same for every element."""
    row = ClassBudget(low=0.0, elements=elements, rms=0.0, atol=atol)
    return Budget((row,), rtol, basis, allow_nonfinite)


def budget_for(
    spec: Spec, name: str, expected: Sequence[np.ndarray], noise: Noise | None
) -> Budget:
    """What output ``name`` is held to in every sample.

    A tolerance in the spec overrides. Otherwise integers and booleans must be equal: a share of a
    token's number is another token. A float may be ``MULTIPLE`` of PyTorch's noise away, as it was
    measured among elements of its own magnitude. One table serves the check, the proof and every
    replay.
    """
    output = spec.outputs.get(name)
    allow = output is not None and output.nonfinite == "allow"
    elements = sum(array.size for array in expected)
    if output is not None and isinstance(output.tolerance, Tolerance):
        asked = output.tolerance
    elif expected[0].dtype.kind != "f":
        return one_class(0.0, 0.0, "exact", elements=elements)
    elif isinstance(spec.check.tolerance, Tolerance):
        asked = spec.check.tolerance
    else:
        return _derived(expected, noise, allow_nonfinite=allow)
    return one_class(asked.atol, asked.rtol, "spec", elements=elements, allow_nonfinite=allow)


def budget_on(
    provider: Provider,
    precision: str,
    usual: Budget,
    expected: Sequence[np.ndarray],
    rounding: Rounding | None,
) -> Budget:
    """What an output is held to on a provider whose products may round to ``precision``.

    A tolerance of the provider in the spec overrides. A tolerance of the whole check and equality
    stay as they are. In float32 it is the usual one, and never less than that.
    """
    if isinstance(provider.tolerance, Tolerance):
        if usual.basis == "exact":
            return usual
        asked = provider.tolerance
        elements = sum(array.size for array in expected)
        return one_class(
            asked.atol,
            asked.rtol,
            "spec",
            elements=elements,
            allow_nonfinite=usual.allow_nonfinite,
        )
    if precision == "float32" or usual.basis in {"spec", "exact"}:
        return usual
    fills = tuple(value for value, _ in usual.fills)
    statistics = class_statistics(expected, fills)
    if rounding is not None:
        found = by_noise(statistics, rounding.classes, MULTIPLE_OF_ROUNDING, usual.rtol)
    else:
        found = by_share(statistics, UNKNOWN_ROUNDING[precision])
    rtol = usual.rtol if rounding is not None else UNKNOWN_ROUNDING[precision]
    return usual._replace(
        classes=tuple(map(_wider, found, usual.classes)), rtol=rtol, basis="rounding"
    )


def _wider(one: ClassBudget, other: ClassBudget) -> ClassBudget:
    """Of two budgets for one class what allows more."""
    limits = (one.max_rms_diff, other.max_rms_diff)
    both = [limit for limit in limits if limit is not None]
    return _with_limits(one, max(one.atol, other.atol), max(both) if len(both) == 2 else None)


def _with_limits(row: ClassBudget, atol: float, max_rms_diff: float | None) -> ClassBudget:
    return row.model_copy(update={"atol": atol, "max_rms_diff": max_rms_diff})


def _derived(
    expected: Sequence[np.ndarray], noise: Noise | None, *, allow_nonfinite: bool
) -> Budget:
    """From PyTorch's noise, or by dtype where it is not known."""
    import numpy as np

    dtype = str(expected[0].dtype)
    fills = fills_of(expected)
    statistics = class_statistics(expected, fills)
    least = LEAST_ULPS[dtype] * float(np.finfo(dtype).eps)
    exact = tuple((value, least * abs(value)) for value in fills)
    if noise is None:
        share = UNKNOWN[dtype]
        return Budget(by_share(statistics, share), share, "dtype", allow_nonfinite, exact)
    classes = by_noise(statistics, noise.classes, MULTIPLE, least)
    return Budget(classes, least, "noise", allow_nonfinite, exact)
