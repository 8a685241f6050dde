"""Build the ``nn.Module`` that a spec names, with its weights, and call it as its forward wants."""

from __future__ import annotations

import hashlib
import inspect
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from onnxproof.artifact import sha256_of
from onnxproof.errors import LoadError, SourceError, SpecError
from onnxproof.inputs import Feed
from onnxproof.records import Work
from onnxproof.sources import find_file, import_factory
from onnxproof.spec import Spec, Weights

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]
SHOWN_KEYS: Final = 5


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
    torch.manual_seed(spec.check.seed)
    try:
        module = factory(**source.kwargs)
    except Exception as error:
        raise LoadError(
            f"factory {source.factory} raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise LoadError(
            f"factory {source.factory} returned {type(module).__name__}, not a torch.nn.Module; "
            "return the module itself"
        )
    if source.weights is not None:
        load_weights(module, source.weights, work, trust_pickle=source.trust == "pickle")
    module.eval()
    return SourceModule(module, how_to_call(module, spec), spec)


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
        data = tensor.detach().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(data.tobytes())
        size_bytes += data.nbytes
    return digest.hexdigest(), size_bytes


def _read_checkpoint(path: Path, *, trust_pickle: bool) -> Tensors:
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except pickle.UnpicklingError as error:
        raise SourceError(
            f"weights {path.name} is a pickle that would run code, and was not opened "
            f"({str(error).split('. ')[0]}); save it as safetensors, or set source.trust: pickle "
            "if you trust its author as you trust your own code"
        ) from None
    except Exception as error:
        raise SourceError(
            f"weights {path.name} cannot be read: {type(error).__name__}: {error}; "
            "expected .safetensors, or a .pt that torch.save wrote from a state dict"
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(each, torch.Tensor) for each in found.values()
    ):
        raise SourceError(
            f"weights {path.name} holds {type(found).__name__}, not a state dict of tensors; "
            "save module.state_dict()"
        )
    return found


def _fit(tensors: Tensors, module: torch.nn.Module, name: str) -> None:
    wanted = module.state_dict()
    present = {wanted[key].data_ptr() for key in tensors if key in wanted}
    # safetensors stores a tied weight once, so a key whose memory is filled already is not missing.
    missing = sorted(
        key for key in wanted if key not in tensors and wanted[key].data_ptr() not in present
    )
    unexpected = sorted(key for key in tensors if key not in wanted)
    misshaped = [
        f"{key} is {list(tensors[key].shape)}, the module wants {list(wanted[key].shape)}"
        for key in sorted(tensors)
        if key in wanted and tensors[key].shape != wanted[key].shape
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


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(keys[:SHOWN_KEYS]) + more


def how_to_call(module: torch.nn.Module, spec: Spec) -> Literal["positional", "keyword"]:
    """How forward takes the spec's inputs: by keyword where their names are its parameters.

    Raises:
        SpecError: Some names are its parameters and some are not, or their order differs.
    """
    parameters = inspect.signature(module.forward).parameters
    plain = [
        name
        for name, each in parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    named = [name for name in spec.inputs if name in plain]
    wanted = spec.source.call
    if wanted == "positional" or (wanted == "auto" and not named):
        return "positional"
    if strangers := [name for name in spec.inputs if name not in plain]:
        raise SpecError(
            f"inputs {', '.join(strangers)} are no parameters of forward, which takes "
            f"{', '.join(plain) or 'none'}; rename them, or set source.call: positional"
        )
    if named != [name for name in plain if name in spec.inputs]:
        raise SpecError(
            f"inputs stand as {', '.join(named)}, forward takes {', '.join(plain)}; "
            "write them in forward's order"
        )
    return "keyword"
