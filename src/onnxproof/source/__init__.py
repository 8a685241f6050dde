"""Kinds of ``source``: a module for each that builds the ``nn.Module``, and how it is called.

What is learned by running the module is in ``reference``. Imports ``samples``, ``usercode`` and
below, and torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxproof.records import Work
from onnxproof.source.kind import kind_of
from onnxproof.spec import Source

if TYPE_CHECKING:
    from torch import nn


def build(source: Source, work: Work) -> nn.Module:
    """The module that ``source`` names, before ``source.weights`` is put into it.

    Raises:
        SourceError: A file, a class or a package is not there, or would run code unasked.
        LoadError: What is there raised, or is no module.
    """
    return kind_of(source.kind).build(source, work)
