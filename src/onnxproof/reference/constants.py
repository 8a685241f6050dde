"""What a module computes with: numbers at which it may step, operators that order values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.reference.operator_calls import watch_operators

if TYPE_CHECKING:
    import torch
    from torch._ops import OpOverload

    from onnxproof.samples.generate import Feed
    from onnxproof.source.module import SourceModule

MOST: Final = 16
"""Constants of one module, and elements of a table whose elements are taken for such."""
ELEMENTWISE: Final = (
    "add", "clamp", "div", "eq", "floor_divide", "fmod", "ge", "gt", "le", "lt", "maximum",
    "minimum", "mul", "ne", "remainder", "sub", "where",
)  # fmt: skip
"""Operators in which a tensor without dims is a number."""
ORDERING: Final = (
    "argmax", "argmin", "argsort", "kthvalue", "max", "median", "min", "mode", "msort", "nms",
    "sort", "topk",
)  # fmt: skip
"""Operators that choose among equal values, or order them, as they like."""


class Constants(NamedTuple):
    """Seen in one call."""

    numbers: list[float]  # magnitudes, in the order of their first use; 0 and 1 left out
    orders: bool  # whether it orders values, or chooses one of them


def constants_in(source: SourceModule, feed: Feed) -> Constants:
    """Divisors, bounds, factors in the code, and small tables such as the borders of bins.

    Nothing, and taken to order values, where forward cannot be watched.
    """
    found: dict[float, None] = {}
    orders: list[bool] = []

    def note(func: OpOverload, args: tuple[Any, ...], _kwargs: Any, _result: Any) -> None:
        orders.append(func.overloadpacket.__name__ in ORDERING)
        for value in _numbers(func, args):
            found.setdefault(abs(value))

    if not watch_operators(source, feed, note):
        return Constants([], orders=True)
    for buffer in source.model.buffers():
        if _is_table(buffer):
            found.update(dict.fromkeys(abs(float(value)) for value in buffer.tolist()))
    telling = [value for value in found if math.isfinite(value) and value not in {0.0, 1.0}]
    return Constants(telling[:MOST], any(orders))


def _numbers(func: OpOverload, args: tuple[Any, ...]) -> list[float]:
    """Of one call of an operator: Python numbers that are no sizes, and tensors without dims."""
    import torch

    elementwise = func.overloadpacket.__name__ in ELEMENTWISE
    found: list[float] = []
    for argument, value in zip(func._schema.arguments, args, strict=False):
        kind = str(argument.type)
        if isinstance(value, (int, float)) and (kind in {"number", "float"} or elementwise):
            found.append(float(value))
        elif elementwise and isinstance(value, torch.Tensor) and value.ndim == 0:
            found.append(float(value.item()))
    return found


def _is_table(buffer: torch.Tensor) -> bool:
    short = buffer.ndim == 1 and 1 < buffer.numel() <= MOST
    return short and not buffer.is_quantized and not buffer.is_complex()
