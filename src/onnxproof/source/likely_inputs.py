"""Likely inputs of a module, from its forward, its layers and what it says of itself."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.source.call_convention import signature_of
from onnxproof.spec.inputs import INTEGERS

if TYPE_CHECKING:
    from torch import fx, nn

TOKEN_NAMES: Final = ("input_ids", "tokens", "token_ids", "ids")
TARGET: Final = "decoder_input_ids"
IMAGE_SIZES: Final = (224, 32, 28, 8, 256, 299, 64)
LAYERS: Final = ("Embedding", "Conv2d", "Conv1d", "Linear")
"""Classes of PyTorch whose weights tell the size of what they take."""
ENDLESS: Final = 100_000
"""A program without an upper bound has one far above this (torch 2.13)."""


class InputProposal(NamedTuple):
    """Lines of the spec, and ranges of the dims in them where these are known."""

    inputs: dict[str, str]
    dims: dict[str, dict[str, int]]


def wanted_inputs(module: nn.Module) -> list[str]:
    """Parameters of forward that have no default, or that a model of its family is called with."""
    main = getattr(module, "main_input_name", TOKEN_NAMES[0])  # of a model of transformers
    asked = [main, "attention_mask"] if main in TOKEN_NAMES else [main]
    if getattr(getattr(module, "config", None), "is_encoder_decoder", False):
        asked.append(TARGET)
    return [
        parameter.name
        for parameter in signature_of(module).parameters.values()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and (parameter.default is parameter.empty or parameter.name in asked)
    ]


def proposals(module: nn.Module) -> Iterator[InputProposal]:
    """Inputs that forward may take, the likeliest first; nothing was tried yet."""
    names = wanted_inputs(module)
    if (known := _of_program(module, names)) is not None:
        yield known
        return
    choices = [list(_lines(name, module)) for name in names]
    for lines in itertools.product(*choices) if names else ():
        yield InputProposal(dict(zip(names, lines, strict=True)), {})


def _lines(name: str, module: nn.Module) -> Iterator[str]:
    layer = next(
        (submodule for submodule in module.modules() if list(submodule.parameters(recurse=False))),
        None,
    )
    kind = _kind(layer) if layer is not None else ""
    vocabulary, image = _first(module, "Embedding"), _first(module, "Conv2d")
    if name.endswith("mask"):
        yield "int64[batch, seq] mask"
    elif name == "token_type_ids":
        yield "int64[batch, seq] in 0..1"
    elif vocabulary is not None and (name in (*TOKEN_NAMES, TARGET) or kind == "Embedding"):
        dim = "target" if name == TARGET else "seq"
        yield f"int64[batch, {dim}] in 0..{_size(vocabulary) - 1}"
    elif image is not None and (kind == "Conv2d" or _image_size(module)):
        declared = _image_size(module)
        for size in (declared,) if declared else IMAGE_SIZES:
            yield f"float32[batch, {_size(image)}, {size}, {size}]"
    elif kind == "Conv1d":
        yield f"float32[batch, {_size(layer)}, 256]"
    elif kind == "Linear":
        yield f"float32[batch, {_size(layer)}]"
        yield f"float32[batch, seq, {_size(layer)}]"


def _kind(layer: nn.Module) -> str:
    """The class of PyTorch that the layer is, or extends; of TorchScript, the one it was."""
    ours = [base.__name__ for base in type(layer).__mro__ if base.__module__.startswith("torch.nn")]
    names = [str(getattr(layer, "original_name", "")), *ours]
    return next((name for name in names if name in LAYERS), "")


def _first(module: nn.Module, kind: str) -> nn.Module | None:
    return next((submodule for submodule in module.modules() if _kind(submodule) == kind), None)


def _size(layer: Any) -> int:
    """Rows of a table; features or channels of another layer, which TorchScript does not tell."""
    if _kind(layer) == "Embedding":
        return int(layer.weight.shape[0])
    return int(layer.weight.shape[1]) * int(getattr(layer, "groups", 1))


def _image_size(module: Any) -> int:
    """What transformers, timm or torchvision say in the model; 0 where they do not."""
    size = getattr(getattr(module, "config", None), "image_size", None)
    size = size or getattr(module, "image_size", None)
    if isinstance(cfg := getattr(module, "default_cfg", None), dict):
        size = size or cfg.get("input_size", (0,))[-1]
    return size if isinstance(size, int) else 0


def _of_program(module: nn.Module, names: list[str]) -> InputProposal | None:
    """Inputs and ranges that an exported program keeps; None for anything else, and for nests."""
    import torch

    if not isinstance(module, torch.fx.GraphModule):
        return None
    nodes = [node for node in module.graph.nodes if node.op == "placeholder"]
    if [node.target for node in nodes] != names:
        return None
    dims = _Dims()
    lines = {name: _line(node, dims) for name, node in zip(names, nodes, strict=True)}
    known = {name: line for name, line in lines.items() if line}
    return InputProposal(known, dims.ranges) if known == lines else None


class _Dims:
    """Names and ranges for the symbols of a program, which torch saves without their names."""

    def __init__(self) -> None:
        self.ranges: dict[str, dict[str, int]] = {}
        self._names: dict[str, str] = {}

    def of(self, size: Any, axis: int, *, tokens: bool) -> int | str:
        """An entry of a shape."""
        if isinstance(size, int):
            return size
        text = str(size.node.expr)
        for symbol in size.node.expr.free_symbols:
            if str(symbol) not in self._names:
                likely = "batch" if axis == 0 else "seq" if axis == 1 and tokens else "size"
                number = sum(name.startswith(likely) for name in self.ranges)
                name = self._names[str(symbol)] = f"{likely}_{number + 1}" if number else likely
                self.ranges[name] = _range(size.node.shape_env.var_to_range[symbol])
            text = re.sub(rf"\b{symbol}\b", self._names[str(symbol)], text)
        return text


def _range(found: Any) -> dict[str, int]:
    low = max(1, int(found.lower))
    return {"min": low, "max": int(found.upper) if found.upper < ENDLESS else max(16, low)}


def _line(node: fx.Node, dims: _Dims) -> str | None:
    """The line of a placeholder; None where nothing tells which values it takes."""
    value = node.meta.get("val")
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if value is None or not dtype:
        return None
    tokens = dtype in INTEGERS
    sizes = [dims.of(size, axis, tokens=tokens) for axis, size in enumerate(value.shape)]
    line = f"{dtype}[{', '.join(map(str, sizes))}]"
    if not tokens:
        return line
    if node.name.endswith("mask"):
        return f"{line} mask"
    rows = [
        user.args[0].meta["val"].shape[0]  # type: ignore[union-attr]  # a table of weights
        for user in node.users
        if str(user.target) == "aten.embedding.default" and user.args[1] is node
    ]
    return f"{line} in 0..{min(rows) - 1}" if rows else None
