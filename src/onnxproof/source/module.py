"""Build the ``nn.Module`` that a spec names, with its weights, and call it as its forward wants."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from onnxproof.errors import LoadError, one_line
from onnxproof.records import Work
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import example_sizes
from onnxproof.source import build
from onnxproof.source.call_convention import Call, how_to_call, takes_flat_tensors
from onnxproof.source.checkpoint import is_lazy, load_weights
from onnxproof.source.flat_inputs import flat_module
from onnxproof.spec import Source, Spec

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class SourceModule:
    """A module whose forward takes the spec's inputs one by one, and how it takes them."""

    module: torch.nn.Module
    call: Literal["positional", "keyword"]
    spec: Spec
    model: torch.nn.Module  # as its source built it; ``module`` is around it, or itself
    model_call: Call

    def arguments(self, feed: Feed) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments; fresh tensors, so the feed's arrays stay unchanged."""
        import torch

        values = {
            name: torch.from_numpy(feed[name].copy()) if input_spec.is_tensor else feed[name].item()
            for name, input_spec in self.spec.inputs.items()
        }
        return ((), values) if self.call == "keyword" else (tuple(values.values()), {})

    def __call__(self, feed: Feed) -> Any:
        """What forward returns, without gradients."""
        import torch

        args, kwargs = self.arguments(feed)
        with torch.no_grad():
            return self.module(*args, **kwargs)


def build_module(spec: Spec, work: Work) -> SourceModule:
    """The module of ``spec.source``, its checkpoint loaded, in eval mode.

    Raises:
        SourceError: The code or file may not be loaded, or the checkpoint does not fit.
        LoadError: What builds the module raised, or returned something else.
        SpecError: The spec's inputs are not those of forward.
    """
    module = unfitted_module(spec.source, work, spec.check.seed)
    built = source_module(module, spec)
    if any(map(is_lazy, module.state_dict().values())):
        _settle_lazy(built)
    return built


def unfitted_module(source: Source, work: Work, seed: int = 0) -> torch.nn.Module:
    """What ``source`` gives, its checkpoint loaded, in eval mode; of inputs nothing is known yet.

    Raises:
        SourceError: The code or file may not be loaded, or the checkpoint does not fit.
        LoadError: What builds the module raised, or returned something else.
    """
    _seed_everything(seed)
    module = build(source, work)
    if source.weights is not None:
        load_weights(module, source.weights, work, trust_pickle=source.trusts_pickle)
    return module.eval()


def source_module(module: torch.nn.Module, spec: Spec) -> SourceModule:
    """``module`` as the later stages take it.

    Raises:
        SpecError: The spec's inputs are not those of forward.
    """
    call = how_to_call(module, spec)
    if takes_flat_tensors(module, spec, call):
        flat = module
    else:
        flat = flat_module(module, tuple(spec.inputs), call)
    direct: Literal["positional", "keyword"] = (
        "keyword" if flat is module and call == "keyword" else "positional"
    )
    return SourceModule(flat, direct, spec, module, call)


def _settle_lazy(source: SourceModule) -> None:
    """Lazy parameters get their shape from the first call; let it be the same in each process."""
    sizes = example_sizes(source.spec.dims)
    try:
        source(draw(source.spec.inputs, sizes, source.spec.check.seed, 0))
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"the module has lazy parameters, and the call that gives them their shape raised "
            f"{type(error).__name__}: {text}; call it once in the factory"
        ) from error


def _seed_everything(seed: int) -> None:
    """Each stage builds the module in a process of its own; they must be the same module."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # the generator that factories use without being told
    torch.manual_seed(seed)


def state_digest(module: torch.nn.Module) -> tuple[str, int]:
    """Sha256 over the state dict (names, dtypes, shapes, bytes, in key order), and its bytes."""
    import torch

    digest, size_bytes = hashlib.sha256(), 0
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        data = bytes_of(tensor)
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(data)
        size_bytes += len(data)
    return digest.hexdigest(), size_bytes


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The elements of a dense tensor; of any dtype, also one that NumPy does not have."""
    import torch

    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().data
