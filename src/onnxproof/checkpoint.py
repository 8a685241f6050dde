"""Read a checkpoint without running anything in it, and put it into a module that it must fit."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.artifact import sha256_of
from onnxproof.errors import SourceError
from onnxproof.records import Work
from onnxproof.sources import find_file
from onnxproof.spec import Weights

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
SHOWN_KEYS: Final = 5
SAVED_BY_TORCH: Final = (b"PK\x03\x04", b"\x80")
"""How files of torch.save begin: zip archives since 1.6, pickles before."""


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
        if key in wanted and not is_lazy(wanted[key]) and tensors[key].shape != wanted[key].shape
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

    if isinstance(value, torch.Tensor) and not is_lazy(value) and value.numel():
        return value.data_ptr(), value.shape, value.stride()
    return id(value)


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more


def is_lazy(value: Any) -> bool:
    """Whether it is a parameter that gets its shape from the first call."""
    from torch.nn.parameter import is_lazy as torch_says

    return bool(torch_says(value))
