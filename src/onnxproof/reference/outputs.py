"""What forward returns, as arrays under stable names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from onnxproof.errors import LoadError, SpecError, one_line
from onnxproof.samples.generate import Feed
from onnxproof.samples.grid import Sizes, label
from onnxproof.source.module import SourceModule
from onnxproof.spec import Spec
from onnxproof.spec.inputs import NO_BFLOAT16

if TYPE_CHECKING:
    import numpy as np
    import torch

Outputs = dict[str, "np.ndarray"]


def run(source: SourceModule, feed: Feed, sizes: Sizes) -> Outputs:
    """PyTorch's outputs by name.

    Raises:
        LoadError: forward raised, or returned no tensor, or what is no tensor.
        SpecError: ``outputs`` does not fit, or two names are the same.
    """
    try:
        result = source(feed)
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"forward raised at {label(sizes)}, which the spec declares: "
            f"{type(error).__name__}: {text}; narrow dims, or correct the inputs"
        ) from error
    tensors = list(flatten(result))
    names = _output_names(source.spec, [name for name, _ in tensors])
    return {name: _array(name, tensor) for name, (_, tensor) in zip(names, tensors, strict=True)}


def _output_names(spec: Spec, given: Sequence[str]) -> Sequence[str]:
    if not given:
        raise LoadError("forward returns no tensor, so there is nothing to export; return one")
    names = tuple(spec.outputs) or given
    if len(names) != len(given):
        raise SpecError(
            f"outputs names {len(names)} ({', '.join(names)}), forward gives {len(given)} "
            f"({', '.join(given)}); name each of them, or none"
        )
    # A graph gives each name to one value only.
    if taken := [name for name in names if name in spec.inputs or names.count(name) > 1]:
        raise SpecError(
            f"forward's outputs are {', '.join(names)}, and {taken[0]!r} names another value too; "
            f"give them {len(names)} names of their own in outputs"
        )
    return names


def _array(name: str, tensor: torch.Tensor) -> np.ndarray:
    try:
        return tensor.detach().contiguous().numpy()
    except (RuntimeError, TypeError):
        if str(tensor.dtype) == "torch.bfloat16":
            raise LoadError(
                f"output {name!r} of bfloat16 cannot be proven: {NO_BFLOAT16}"
            ) from None
        raise LoadError(
            f"output {name!r} is a {tensor.dtype} tensor ({tensor.layout}), which NumPy does not "
            "have; return a dense one of float32"
        ) from None


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of a nested result, under stable names: keys, fields, or ``output_K``; None left out.

    Raises:
        LoadError: Something in it is no tensor.
    """
    import torch

    if isinstance(value, torch.Tensor):
        yield name or "output", value
        return
    parts: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif is_dataclass(value):
        parts = [(field.name, getattr(value, field.name)) for field in fields(value)]
    elif isinstance(value, (tuple, list)):
        parts = [
            (str(index) if name else f"output_{index}", part) for index, part in enumerate(value)
        ]
    elif value is None:
        return
    else:
        raise LoadError(
            f"forward returns {type(value).__name__} at {name or 'output'}; "
            "an ONNX graph gives tensors only, so wrap the module in one that returns those"
        )
    for key, part in parts:
        yield from flatten(part, f"{name}_{key}" if name else key)
