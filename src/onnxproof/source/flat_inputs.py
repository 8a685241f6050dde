"""A module whose forward takes each input of the spec by itself, whatever the model's takes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxproof.source.call_convention import Call
from onnxproof.spec.nested_inputs import INNER, nest

if TYPE_CHECKING:
    from torch import nn


def flat_module(module: nn.Module, names: Sequence[str], call: Call) -> nn.Module:
    """``module`` behind a forward that takes the inputs ``names`` one by one, in order.

    Dicts, tuples, lists and ``*args`` are put together inside, so an exporter sees tensors alone.
    """
    import torch

    def forward(*values: Any) -> Any:
        args, kwargs = arrange(names, values, call)
        return module(*args, **kwargs)

    # torch.export reads the signature; a dotted name is none of Python's.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name.replace(".", "__"), kind) for name in names]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    outer = torch.nn.Module()
    outer.add_module(INNER, module)
    outer.forward = forward
    return outer.train(module.training)


def arrange(
    names: Sequence[str], values: Sequence[Any], call: Call
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of forward, in order."""
    nested = nest(names, values)
    if call == "keyword":
        return (), nested
    arguments = tuple(nested.values())
    return ((list(arguments),), {}) if call == "list" else (arguments, {})
