"""What forward does when it runs: the element types it computes in, and statistics of the batch.

A graph may do what forward does. What it does beside that, an exporter brought in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from onnxproof.reference.operator_calls import watch_operators
from onnxproof.samples.generate import draw
from onnxproof.samples.grid import example_sizes

if TYPE_CHECKING:
    from torch._ops import OpOverload

    from onnxproof.source.module import SourceModule


class ObservedDtypes(NamedTuple):
    """Seen in one call at the example's sizes; no types where it could not be watched."""

    computes_in: tuple[str, ...] = ()
    batch_statistics: bool = False


def watch(source: SourceModule) -> ObservedDtypes:
    """Call the module once, and look at each operator that PyTorch runs."""
    dtypes: set[str] = set()
    normalizes: list[bool] = []

    def note(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        dtypes.update(_dtypes_in((args, kwargs, result)))
        if "batch_norm" in func._schema.name:
            normalizes.append(_in_training(func, args, kwargs))

    feed = draw(source.spec.inputs, example_sizes(source.spec.dims), source.spec.check.seed, 0)
    if not watch_operators(source, feed, note):
        return ObservedDtypes()
    return ObservedDtypes(tuple(sorted(dtypes)), any(normalizes))


def _dtypes_in(values: Any) -> set[str]:
    """Of tensors with more than one element: a Python number is a tensor of float64 or int64."""
    import torch
    from torch.utils._pytree import tree_leaves

    return {
        str(leaf.dtype).removeprefix("torch.")
        for leaf in tree_leaves(values)
        if isinstance(leaf, torch.Tensor) and leaf.numel() > 1
    }


def _in_training(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    names = [argument.name for argument in func._schema.arguments]
    return bool((dict(zip(names, args, strict=False)) | kwargs).get("training"))
