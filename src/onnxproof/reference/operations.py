"""How much work forward is at a point, counted, so that it is the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.reference.operator_calls import watch_operators
from onnxproof.samples.grid import Sizes
from onnxproof.spec.dims import Dim

if TYPE_CHECKING:
    from torch._ops import OpOverload

    from onnxproof.samples.generate import Feed
    from onnxproof.source.module import SourceModule

PER_SECOND: Final = 2_000_000_000
"""Operations that count as one second of ``check.seconds``; a slow core does as many."""
STEPPING: Final = ("upsample_", "_upsample_", "adaptive_", "_adaptive_", "linspace")
"""Beginnings of names of operators that scale sizes in floating point: an element or an index may
be another one at one size in a hundred."""


class CallCost(NamedTuple):
    """Of one call."""

    operations: int  # multiplications and additions of products, and elements of every result
    result_bytes: int  # of all results together, as if none were freed
    steps_with_sizes: bool = False  # whether an operator computes with sizes in floating point


def count(source: SourceModule, feed: Feed) -> CallCost | None:
    """The work of forward for ``feed``; None where forward cannot be watched."""
    import torch
    from torch.utils._pytree import tree_leaves
    from torch.utils.flop_counter import flop_registry

    total = [0, 0]
    stepping: list[bool] = []

    def note(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if (flops := flop_registry.get(func._overloadpacket)) is not None:
            total[0] += int(flops(*args, **kwargs, out_val=result))
        name = func.overloadpacket.__name__
        steps = name == "arange" and any(isinstance(value, float) for value in args)
        stepping.append(steps or name.startswith(STEPPING))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                total[0] += leaf.numel()
                total[1] += leaf.numel() * leaf.element_size()

    if not watch_operators(source, feed, note):
        return None
    return CallCost(total[0], total[1], any(stepping))


def predict(
    least: CallCost, grown: Mapping[str, CallCost], dims: Mapping[str, Dim], sizes: Sizes
) -> CallCost:
    """The work at ``sizes``, from that at all smallest sizes and at each dim's largest alone.

    Growth is taken to multiply, which is right for products of sizes and too much for sums.
    """
    operations, result_bytes = float(least.operations), float(least.result_bytes)
    for name, work in grown.items():
        low, high = max(dims[name].smallest, 1), max(dims[name].largest, 1)
        reach = math.log(max(sizes[name], 1) / low) / math.log(high / low) if high > low else 0.0
        operations *= (max(work.operations, 1) / max(least.operations, 1)) ** reach
        result_bytes *= (max(work.result_bytes, 1) / max(least.result_bytes, 1)) ** reach
    return CallCost(int(operations), int(result_bytes))
