"""``source.factory``: a callable of an allowed module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onnxproof.errors import LoadError, one_line
from onnxproof.records import Work
from onnxproof.source.kind import SourceKind
from onnxproof.spec import Source
from onnxproof.usercode.allowed import import_factory

if TYPE_CHECKING:
    from torch import nn


def build(source: Source, work: Work) -> nn.Module:
    """What the factory returns for ``source.kwargs``.

    Raises:
        SourceError: The code may not be loaded, or is not there.
        LoadError: The factory raised, or returned something else.
    """
    import torch

    factory = import_factory(source.target, work.roots, work.allow, local_code=work.local_code)
    try:
        module = factory(**source.kwargs)
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"factory {source.target} raised {type(error).__name__}: {text}; "
            "correct it, or source.kwargs"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise LoadError(
            f"factory {source.target} returned {type(module).__name__}, not a torch.nn.Module; "
            "return the module itself"
        )
    return module


def _module_of(target: str) -> str:
    return target.partition(":")[0]


def _name(target: str) -> str:
    return _module_of(target).rpartition(".")[2]


KIND: Final = SourceKind(build=build, default_name=_name, python_module=_module_of)
