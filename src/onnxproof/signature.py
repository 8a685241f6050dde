"""How forward takes the spec's inputs, read from its signature alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from onnxproof.errors import SpecError
from onnxproof.spec import Spec

if TYPE_CHECKING:
    import torch


def how_to_call(module: torch.nn.Module, spec: Spec) -> Literal["positional", "keyword"]:
    """How forward takes the spec's inputs: by keyword where their names are its parameters.

    Raises:
        SpecError: Some names are its parameters and some are not, their order differs, or forward
            needs others.
    """
    signature = inspect.signature(module.forward)
    kinds = {each.kind for each in signature.parameters.values()}
    plain = [
        name
        for name, each in signature.parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    ]
    named = [name for name in spec.inputs if name in plain]
    call = spec.source.call
    if call == "auto":
        only_keywords = kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}
        call = "keyword" if named or only_keywords else "positional"
    if call == "keyword":
        strangers = [name for name in spec.inputs if name not in plain]
        if strangers and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise SpecError(
                f"inputs {', '.join(strangers)} are no parameters of forward, which takes "
                f"{', '.join(plain) or 'none'}; rename them, or set source.call: positional"
            )
        if named != [name for name in plain if name in spec.inputs]:
            raise SpecError(
                f"inputs stand as {', '.join(named)}, forward takes {', '.join(plain)}; "
                "write them in forward's order"
            )
    _bind(signature, spec.inputs, call)
    return call


def _bind(signature: inspect.Signature, names: Iterable[str], call: str) -> None:
    try:
        if call == "keyword":
            signature.bind(**dict.fromkeys(names))
        else:
            signature.bind(*names)
    except TypeError as error:
        raise SpecError(
            f"forward{signature} does not take the inputs {', '.join(names)} as {call} arguments: "
            f"{error}; inputs needs one entry for each parameter without a default"
        ) from None
