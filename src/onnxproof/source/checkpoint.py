"""Read a checkpoint without running anything in it, and put it into a module that it must fit."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.shards import checkpoint_files, digest_of
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
        SourceError: A file is missing, is not the one named by ``sha256``, would run code, or its
            keys or shapes are not the module's.
    """
    files = checkpoint_files(weights.path, work.roots)
    if weights.sha256 is not None and (found := digest_of(files)) != weights.sha256:
        raise SourceError(
            f"weights {weights.path} should have sha256 {weights.sha256}, found {found}; "
            "restore the file, or put the new digest in source.weights.sha256"
        )
    tensors: dict[str, torch.Tensor] = {}
    for path in files[1:] or files:  # of a sharded checkpoint, the first is the index
        tensors |= _read_checkpoint(path, weights, trust_pickle=trust_pickle)
    tensors = _without_prefix(tensors, weights)
    _fit(tensors, module, weights.path)
    module.load_state_dict(tensors, strict=False)


def _without_prefix(tensors: dict[str, torch.Tensor], weights: Weights) -> dict[str, torch.Tensor]:
    taken = {
        key.removeprefix(weights.prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(weights.prefix)
    }
    if tensors and not taken:
        raise SourceError(
            f"weights {weights.path} have no key that begins with {weights.prefix!r}; they have "
            f"{some_of(list(tensors))}; correct source.weights.prefix"
        )
    return taken


def _read_checkpoint(path: Path, weights: Weights, *, trust_pickle: bool) -> Tensors:
    import torch

    try:
        _refuse_other_files(path)
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            if weights.state_dict is not None:
                raise SourceError(
                    f"weights {path.name} is a state dict and holds none; remove "
                    "source.weights.state_dict"
                )
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except SourceError:
        raise
    except pickle.UnpicklingError as error:
        raise SourceError(
            f"weights {path.name} is a pickle that would run code "
            f"({code_in(error) or 'not a state dict'}), and was not opened; save it as "
            "safetensors, or set source.trust: pickle if you trust its author as you trust your "
            "own code"
        ) from None
    except Exception as error:
        text = one_line(error, 300)
        raise SourceError(
            f"weights {path.name} cannot be read: {type(error).__name__}: {text}; "
            "expected .safetensors, or a .pt that torch.save wrote from a state dict"
        ) from None
    return _state_dict_in(found, path.name, weights.state_dict)


def _state_dict_in(found: Any, name: str, key: str | None) -> Tensors:
    """The state dict that a file is, or that stands in it under ``key``."""
    for part in key.split(".") if key else ():
        if not isinstance(found, Mapping) or part not in found:
            has = ", ".join(map(str, found)) if isinstance(found, Mapping) else "no dict"
            raise SourceError(
                f"weights {name} have nothing under {key!r}: at {part!r} there is "
                f"{has or 'nothing'}; correct source.weights.state_dict"
            )
        found = found[part]
    if fault := _no_state_dict(found):
        inside = [
            str(inner)
            for inner, value in (found.items() if isinstance(found, Mapping) else ())
            if isinstance(value, Mapping) and value and not _no_state_dict(value)
        ]
        above = f"{key}." if key else ""
        advice = (
            "name one in source.weights.state_dict: "
            f"{' or '.join(above + inner for inner in inside)}"
            if inside
            else "save module.state_dict() alone"
        )
        raise SourceError(f"weights {name} holds {fault}, not a state dict of tensors; {advice}")
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
        what, advice = "a Git LFS pointer", "run `git lfs pull`"
    elif path.name.endswith(".index.json"):
        what, advice = "an index of pickles", "save it again with safetensors"
    else:
        what = "an empty file" if not start else "no checkpoint"
        advice = "name a .safetensors, or a .pt that torch.save wrote from a state dict"
    raise SourceError(f"weights {path.name} is {what}; {advice}")


def _no_state_dict(found: object) -> str:
    """What stands in its place; empty for a state dict."""
    import torch

    if not isinstance(found, dict):
        return type(found).__name__
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            return f"a dict with {type(value).__name__} under {key!r}"
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
        f"{kind}: {some_of(keys)}"
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("other shape", misshaped),
        )
        if keys
    ]
    if faults:
        advice = "check source.kwargs, or convert the checkpoint's keys"
        if prefix := _common_prefix(unexpected, missing):
            advice = f"set source.weights.prefix: {prefix!r}"
        raise SourceError(f"weights {name} do not fit the module ({'; '.join(faults)}); {advice}")


def _common_prefix(unexpected: list[str], missing: list[str]) -> str:
    """What stands before every missing key in the checkpoint; empty where nothing does."""
    for key in unexpected if missing else ():
        prefix = key.removesuffix(missing[0])
        if prefix != key and {prefix + name for name in missing} <= set(unexpected):
            return prefix
    return ""


def _memory(value: object) -> object:
    """What two names of one tied weight have in common, and a view into it has not."""
    import torch

    if isinstance(value, torch.Tensor) and not is_lazy(value) and value.numel():
        return value.data_ptr(), value.shape, value.stride()
    return id(value)


def some_of(keys: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more


def code_in(error: pickle.UnpicklingError) -> str:
    """The name that made ``weights_only=True`` refuse a pickle; empty where it names none."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found[1] if found else ""


def is_lazy(value: Any) -> bool:
    """Whether it is a parameter that gets its shape from the first call."""
    from torch.nn.parameter import is_lazy as torch_says

    return bool(torch_says(value))
