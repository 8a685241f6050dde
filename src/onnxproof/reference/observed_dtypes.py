"""What forward does when it runs: the element types it computes in, and statistics of the batch.

A graph may do what forward does. What it does beside that, an exporter brought in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from onnxproof.samples.generate import draw
from onnxproof.samples.grid import example_sizes

if TYPE_CHECKING:
    from torch._ops import OpOverload

    from onnxproof.source.module import SourceModule

log = logging.getLogger(__name__)


class ObservedDtypes(NamedTuple):
    """Seen in one call at the example's sizes; no types where it could not be watched."""

    computes_in: tuple[str, ...] = ()
    batch_statistics: bool = False


def watch(source: SourceModule) -> ObservedDtypes:
    """Call the module once, and look at each operator that PyTorch runs."""
    from torch.compiler import set_stance
    from torch.utils._python_dispatch import TorchDispatchMode

    dtypes: set[str] = set()
    normalizes: list[bool] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            dtypes.update(_dtypes_in((args, kwargs, result)))
            if "batch_norm" in func._schema.name:
                normalizes.append(_in_training(func, args, kwargs or {}))
            return result

    feed = draw(source.spec.inputs, example_sizes(source.spec.dims), source.spec.check.seed, 0)
    try:
        # torch.cond and torch.while_loop compile their parts, and would keep what they make below a
        # mode for all later calls; as they are they take none.
        with set_stance("force_eager"), Watch():  # type: ignore[no-untyped-call]
            source(feed)
    except Exception as error:  # it ran without: some modules take no mode of PyTorch's dispatcher
        log.info("forward cannot be watched: %s: %s", type(error).__name__, error)
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
