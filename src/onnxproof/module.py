"""Build the ``nn.Module`` that a spec names, with its weights, and call it as its forward wants."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from onnxproof.artifact import sha256_of
from onnxproof.errors import LoadError, SourceError
from onnxproof.grid import example_sizes
from onnxproof.inputs import Feed, draw
from onnxproof.records import Work
from onnxproof.signature import how_to_call
from onnxproof.sources import find_file, import_factory
from onnxproof.spec import Spec, Weights

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
SHOWN_KEYS: Final = 5
SAVED_BY_TORCH: Final = (b"PK\x03\x04", b"\x80")
"""How files of torch.save begin: zip archives since 1.6, pickles before."""


@dataclass(frozen=True)
class SourceModule:
    """A module in eval mode, and how its forward takes the spec's inputs."""

    module: torch.nn.Module
    call: Literal["positional", "keyword"]
    spec: Spec

    def arguments(self, feed: Feed) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments; fresh tensors, so the feed's arrays stay unchanged."""
        import torch

        values = {
            name: torch.from_numpy(feed[name].copy()) if each.is_tensor else feed[name].item()
            for name, each in self.spec.inputs.items()
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
        SourceError: The code may not be loaded, or the checkpoint does not fit.
        LoadError: The factory raised, or returned something else.
        SpecError: The spec's inputs are not those of forward.
    """
    import torch

    source = spec.source
    factory = import_factory(source.factory, work.roots, work.allow, local_code=work.local_code)
    _seed_everything(spec.check.seed)
    try:
        module = factory(**source.kwargs)
    except Exception as error:
        text = " ".join(str(error).split())
        raise LoadError(
            f"factory {source.factory} raised {type(error).__name__}: {text[:500]}; "
            "correct it, or source.kwargs"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise LoadError(
            f"factory {source.factory} returned {type(module).__name__}, not a torch.nn.Module; "
            "return the module itself"
        )
    if source.weights is not None:
        load_weights(module, source.weights, work, trust_pickle=source.trust == "pickle")
    module.eval()
    built = SourceModule(module, how_to_call(module, spec), spec)
    if any(map(_is_lazy, module.state_dict().values())):
        _settle_lazy(built)
    return built


def _is_lazy(tensor: Any) -> bool:
    from torch.nn.parameter import is_lazy

    return is_lazy(tensor)


def _settle_lazy(source: SourceModule) -> None:
    """Lazy parameters get their shape from the first call; let it be the same in each process."""
    sizes = example_sizes(source.spec.dims)
    try:
        source(draw(source.spec.inputs, sizes, source.spec.check.seed, 0))
    except Exception as error:
        text = " ".join(str(error).split())
        raise LoadError(
            f"the module has lazy parameters, and the call that gives them their shape raised "
            f"{type(error).__name__}: {text[:500]}; call it once in the factory"
        ) from error


def _seed_everything(seed: int) -> None:
    """Each stage builds the module in a process of its own; they must be the same module."""
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)  # the generator that factories use without being told
    torch.manual_seed(seed)


def load_weights(
    module: torch.nn.Module, weights: Weights, work: Work, *, trust_pickle: bool = False
) -> None:
    """Put a checkpoint into ``module``; every key must be there, and fit.

    Raises:
        SourceError: The file is missing, is not the one named by ``sha256``, would run code, or its
            keys or shapes are not the module's.
    """
    path = find_file(weights.path, work.roots)
    if weights.sha256 is not None and (found := sha256_of(path)) != weights.sha256:
        raise SourceError(
            f"weights {weights.path} should have sha256 {weights.sha256}, found {found}; "
            "restore the file, or put the new digest in source.weights.sha256"
        )
    tensors = _read_checkpoint(path, trust_pickle=trust_pickle)
    _fit(tensors, module, weights.path)
    module.load_state_dict(dict(tensors), strict=False)


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


def bytes_of(tensor: torch.Tensor) -> bytes:
    """The elements of a dense tensor; of any dtype, also one that NumPy does not have."""
    import torch

    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _read_checkpoint(path: Path, *, trust_pickle: bool) -> Tensors:
    import torch

    try:
        _refuse_other_files(path)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except SourceError:
        raise
    except pickle.UnpicklingError as error:
        carried = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise SourceError(
            f"weights {path.name} is a pickle that would run code "
            f"({carried[1] if carried else 'not a state dict'}), and was not opened; save it as "
            "safetensors, or set source.trust: pickle if you trust its author as you trust your "
            "own code"
        ) from None
    except Exception as error:
        text = " ".join(str(error).split())
        raise SourceError(
            f"weights {path.name} cannot be read: {type(error).__name__}: {text[:300]}; "
            "expected .safetensors, or a .pt that torch.save wrote from a state dict"
        ) from None
    if fault := _no_state_dict(found):
        raise SourceError(
            f"weights {path.name} holds {fault}, not a state dict of tensors; "
            "save module.state_dict() alone"
        )
    tensors: Tensors = found
    return tensors


def _refuse_other_files(path: Path) -> None:
    """Raise SourceError for what is no checkpoint; torch takes it for a dangerous pickle."""
    with path.open("rb") as file:
        start = file.read(64)
    # safetensors: the header's length in eight bytes, then the header, which is JSON.
    named = path.suffix == ".safetensors"
    if start[8:9] == b"{" if named else start.startswith(SAVED_BY_TORCH):
        return
    if start.startswith(b"version https://git-lfs"):
        what, remedy = "a Git LFS pointer", "run `git lfs pull`"
    elif path.name.endswith(".index.json"):
        what, remedy = "the index of a sharded checkpoint", "save all shards as one .safetensors"
    else:
        what = "an empty file" if not start else "no checkpoint"
        remedy = "name a .safetensors, or a .pt that torch.save wrote from a state dict"
    raise SourceError(f"weights {path.name} is {what}; {remedy}")


def _no_state_dict(found: object) -> str:
    """What stands in its place; empty for a state dict."""
    import torch

    if not isinstance(found, dict):
        return type(found).__name__
    for key, each in found.items():
        if not isinstance(key, str) or not isinstance(each, torch.Tensor):
            return f"a dict with {type(each).__name__} under {key!r}"
    return ""


def _fit(tensors: Tensors, module: torch.nn.Module, name: str) -> None:
    wanted = module.state_dict()
    present = {_memory(wanted[key]) for key in tensors if key in wanted}
    # safetensors stores a tied weight once, so a key whose memory is filled already is not missing.
    missing = sorted(
        key for key in wanted if key not in tensors and _memory(wanted[key]) not in present
    )
    unexpected = sorted(key for key in tensors if key not in wanted)
    misshaped = [
        f"{key} is {list(tensors[key].shape)}, the module wants {list(wanted[key].shape)}"
        for key in sorted(tensors)
        if key in wanted and not _is_lazy(wanted[key]) and tensors[key].shape != wanted[key].shape
    ]
    faults = [
        f"{kind}: {_some(keys)}"
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("other shape", misshaped),
        )
        if keys
    ]
    if faults:
        raise SourceError(
            f"weights {name} do not fit the module ({'; '.join(faults)}); "
            "check source.kwargs, or convert the checkpoint's keys"
        )


def _memory(value: object) -> object:
    """What two names of one tied weight have in common, and a view into it has not."""
    import torch

    if isinstance(value, torch.Tensor) and not _is_lazy(value) and value.numel():
        return value.data_ptr(), value.shape, value.stride()
    return id(value)


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more
