"""How forward takes the spec's inputs, read from its signature alone."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from onnxproof.errors import SpecError
from onnxproof.spec import Spec
from onnxproof.spec.nested_inputs import top_level

if TYPE_CHECKING:
    import torch

Call = Literal["positional", "keyword", "list", "varargs"]


def how_to_call(module: torch.nn.Module, spec: Spec) -> Call:
    """How forward takes the spec's inputs: by keyword where their names are its parameters.

    Raises:
        SpecError: Some names are its parameters and some are not, their order differs, or forward
            needs others.
    """
    signature = signature_of(module)
    names = top_level(spec.inputs)
    plain = _plain(signature)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    named = [name for name in names if name in plain]
    call = spec.source.call
    if call == "auto":
        only_keywords = kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
        call = "keyword" if named or only_keywords else "positional"
        if call == "positional" and inspect.Parameter.VAR_POSITIONAL in kinds:
            call = "varargs"
    if call == "varargs" and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise SpecError(
            f"source.call: varargs, and forward{signature} takes no *arguments; "
            "set source.call: positional, or list"
        )
    if call == "keyword":
        strangers = [name for name in names if name not in plain]
        if strangers and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise SpecError(
                f"inputs {', '.join(strangers)} are no parameters of forward, which takes "
                f"{', '.join(plain) or 'none'}; rename them, or set source.call: positional"
            )
        if named != [name for name in plain if name in names]:
            raise SpecError(
                f"inputs stand as {', '.join(named)}, forward takes {', '.join(plain)}; "
                "write them in forward's order"
            )
    _bind(signature, names, call)
    return call


def takes_flat_tensors(module: torch.nn.Module, spec: Spec, call: Call) -> bool:
    """Whether each input of the spec is one plain parameter of forward.

    The exporters match names and dynamic shapes with parameters; all else they get through a
    module that has such ones. So does a decorated forward that is called by keyword: tracing fills
    in its defaults by position, which those of transformers refuse.
    """
    forward = module.forward  # once: each access makes another bound method
    decorated = inspect.unwrap(forward) is not forward
    if call in ("list", "varargs") or (call == "keyword" and decorated):
        return False
    if top_level(spec.inputs) != tuple(spec.inputs):
        return False
    return call == "positional" or set(spec.inputs) <= set(_plain(signature_of(module)))


def signature_of(module: torch.nn.Module) -> inspect.Signature:
    """Of ``forward``; of TorchScript without defaults, since each parameter becomes an input."""
    schema = getattr(module.forward, "schema", None)
    if schema is None:
        return inspect.signature(module.forward)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature(
        [inspect.Parameter(argument.name, kind) for argument in schema.arguments[1:]]
    )


def _plain(signature: inspect.Signature) -> list[str]:
    return [
        name
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]


def _bind(signature: inspect.Signature, names: Sequence[str], call: Call) -> None:
    try:
        if call == "keyword":
            signature.bind(**dict.fromkeys(names))
        elif call == "list":
            signature.bind(list(names))
        else:
            signature.bind(*names)
    except TypeError as error:
        raise SpecError(
            f"forward{signature} does not take the inputs {', '.join(names)} as {call} arguments: "
            f"{error}; inputs needs one entry for each parameter without a default"
        ) from None
