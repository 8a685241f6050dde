"""What PyTorch itself would say if matrix products and convolutions rounded what they multiply.

An execution provider may compute in less precision than the model asks for: CUDA's in TF32 unless
it is told not to, TensorRT's in float16 on request. How far that takes an output from float32's is
a property of the model, so it is measured on the model, in PyTorch on the CPU: the same forward,
with the operands of every product rounded to that precision and the sums still in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import OnnxproofError
from onnxproof.progress import say
from onnxproof.records import Reference, Rounding, Work
from onnxproof.samples.grid import affordable

if TYPE_CHECKING:
    import torch

    from onnxproof.runtime import Precision
    from onnxproof.source.module import SourceModule

PRODUCTS: Final = (
    "mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "matmul", "linear", "einsum",
    "conv", "_convolution", "lstm", "gru", "rnn", "mkldnn", "scaled_dot_product", "_scaled_dot",
    "_native_multi_head", "_transformer_encoder", "bilinear",
)  # fmt: skip
"""Beginnings of the names of ATen operators that multiply and add."""
TF32_DROPPED_BITS: Final = 13
"""Of float32's 23 bits of mantissa TF32 keeps 10 (NVIDIA A100 whitepaper, 2020)."""


def measure_rounding(
    source: SourceModule,
    work: Work,
    reference: Reference,
    precisions: Iterable[Precision],
    seconds: float,
) -> tuple[Rounding, ...]:
    """How far each output moves when products round what they multiply, for each precision.

    One saved sample of each point, cheapest first, while ``seconds`` last; empty where forward
    does not run so, and then the tolerance has to be guessed by precision alone.
    """
    from onnxproof.reference.distance import Distance, fills_in
    from onnxproof.reference.outputs import run
    from onnxproof.samples.sample_files import read_set

    found = []
    floats = [output.name for output in reference.outputs if output.dtype.startswith("float")]
    fills = fills_in(work, reference, floats) if (precisions := tuple(precisions)) else {}
    for precision in precisions:
        distances = {name: Distance(name, fills[name]) for name in floats}
        points = [grid_point for grid_point in reference.points if grid_point.sets]
        for number, point in enumerate(affordable(points, seconds)):
            say("load", f"PyTorch with products in {precision}", number, len(points))
            feed, saved = read_set(Path(work.path(reference.folder, point.sets[0])))
            try:
                with rounded_products(precision):
                    rounded = run(source, feed, point.dims)
            except (OnnxproofError, RuntimeError, TypeError, ValueError):
                break
            for name in floats:
                if rounded[name].shape == saved[name].shape:
                    distances[name].add(saved[name], rounded[name])
        found += [
            Rounding(
                precision=precision,
                name=name,
                max_abs=distance.max_abs,
                sets=distance.sets,
                classes=distance.classes(),
            )
            for name, distance in distances.items()
            if distance.sets
        ]
    return tuple(found)


def rounded_products(precision: Precision) -> Any:
    """A context in which PyTorch's products round their float32 operands to ``precision``."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_map_only

    rounded = _rounding(precision)

    class Rounded(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.__name__.startswith(PRODUCTS):
                args, kwargs = tree_map_only(torch.Tensor, rounded, (args, kwargs or {}))
            return func(*args, **(kwargs or {}))

    return Rounded()  # type: ignore[no-untyped-call]


def _rounding(precision: Precision) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    def through(dtype: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda tensor: tensor.to(dtype).to(tensor.dtype)

    to_precision = {
        "tf32": to_tf32,
        "float16": through(torch.float16),
        "bfloat16": through(torch.bfloat16),
    }[precision]
    return lambda tensor: to_precision(tensor) if tensor.dtype == torch.float32 else tensor


def to_tf32(tensor: torch.Tensor) -> torch.Tensor:
    """The nearest TF32 numbers, ties to even, as float32."""
    import torch

    bits = tensor.contiguous().view(torch.int32)
    half = (1 << (TF32_DROPPED_BITS - 1)) - 1
    odd = (bits >> TF32_DROPPED_BITS) & 1
    kept = (bits + half + odd) >> TF32_DROPPED_BITS << TF32_DROPPED_BITS
    return torch.where(torch.isfinite(tensor), kept.view(torch.float32), tensor)
