"""What the module holds, noted in the load stage so that a check without PyTorch finds it again.

Digests and sketches take a hundredth of the bytes: the weights themselves are not written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxproof.artifact import atomic_write
from onnxproof.records import Work
from onnxproof.weights.match import FILE, LARGE_BYTES
from onnxproof.weights.sketch import project, rows_of, sketch

if TYPE_CHECKING:
    import numpy as np
    import torch


class StateWriter:
    """Knows the tensors of a module from before it ran: what forward changes is no plain copy."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.versions = {name: _version(tensor) for name, tensor in named_tensors(model)}

    def write(self, work: Work) -> None:
        """Note every tensor, and what batch norms fold into others."""
        import numpy as np

        entries: dict[tuple[Any, ...], dict[str, Any]] = {}
        arrays: dict[str, np.ndarray] = {}
        norms = list(_batch_norms(self.model))
        channels = {len(scale) for _, scale, _ in norms}
        for name, tensor in named_tensors(self.model):
            if not _plain(tensor):
                continue
            memory = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
            if memory in entries:
                entries[memory]["names"].append(name)
                continue
            key = str(len(entries))
            changed = self.versions.get(name) != _version(tensor)
            entries[memory] = {**_describe(name, tensor), "changed": changed}
            if tensor.nbytes >= LARGE_BYTES:
                arrays |= _sketched(key, tensor)
            if channels & set(tensor.shape[:2]) and tensor.is_floating_point():
                arrays |= _projected(key, tensor, channels)
        for number, (_, scale, shift) in enumerate(norms):
            arrays |= {f"scale {number}": scale, f"shift {number}": shift}
        index = {"tensors": list(entries.values()), "norms": [name for name, _, _ in norms]}
        arrays["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
        with atomic_write(Path(work.path(FILE))) as draft, draft.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]


def named_tensors(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, buffers, and tensors that are plain attributes, by every name that they have."""
    import torch

    seen: dict[str, torch.Tensor] = {}
    seen.update(model.named_parameters(remove_duplicate=False))
    seen.update(model.named_buffers(remove_duplicate=False))
    for prefix, module in model.named_modules(remove_duplicate=False):
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor):
                seen.setdefault(f"{prefix}.{name}".lstrip("."), value)
    yield from seen.items()


def _version(tensor: torch.Tensor) -> tuple[int, int]:
    return id(tensor), 0 if tensor.is_inference() else tensor._version


def _plain(tensor: torch.Tensor) -> bool:
    """Whether it has bytes of its own to look at."""
    import torch
    from torch.utils._python_dispatch import is_traceable_wrapper_subclass

    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.numel() > 0
    return dense and not tensor.is_quantized and not is_traceable_wrapper_subclass(tensor)


def _describe(name: str, tensor: torch.Tensor) -> dict[str, Any]:
    from onnxproof.source.module import bytes_of

    return {
        "names": [name],
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "itemsize": tensor.element_size(),
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(bytes_of(tensor)).hexdigest(),
    }


def _sketched(key: str, tensor: torch.Tensor) -> dict[str, np.ndarray]:
    from onnxproof.source.module import bytes_of

    found = sketch(bytes_of(tensor), tensor.element_size(), tensor.shape)
    # Of more than two axes nobody takes the transpose, and of images it has many rows.
    columns = found.columns if tensor.squeeze().ndim == 2 else found.columns[:0]
    return {f"rows {key}": found.rows, f"columns {key}": columns}


def _projected(key: str, tensor: torch.Tensor, channels: set[int]) -> dict[str, np.ndarray]:
    """Rows by output channel, which is axis 0 of most weights and axis 1 of transposed ones."""
    array = tensor.detach().double().numpy() if tensor.ndim == 1 else None
    if array is not None:
        return {f"values {key}": array}
    values = tensor.detach().float().numpy()
    return {
        f"axis {axis} {key}": project(rows_of(values, axis))
        for axis in (0, 1)
        if values.shape[axis] in channels
    }


def _batch_norms(model: torch.nn.Module) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each with its running statistics: what it multiplies a channel by, and what it adds."""
    import torch

    for name, norm in model.named_modules():
        mean, variance = (getattr(norm, key, None) for key in ("running_mean", "running_var"))
        eps = getattr(norm, "eps", None)
        if not isinstance(mean, torch.Tensor) or not isinstance(variance, torch.Tensor):
            continue
        scale = (variance.double() + float(eps or 0.0)).rsqrt()
        weight, bias = (getattr(norm, key, None) for key in ("weight", "bias"))
        if isinstance(weight, torch.Tensor):
            scale = scale * weight.detach().double()
        shift = -mean.double() * scale
        if isinstance(bias, torch.Tensor):
            shift = shift + bias.detach().double()
        yield name, scale.numpy(), shift.numpy()
