"""What onnxproof must know of a kind of source, and the kind of a name.

A kind is a field of ``source`` in the spec that carries a ``KindMark``, and the module of this
package with the field's name, which holds a ``SourceKind`` called ``KIND``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.artifact import sha256_of
from onnxproof.records import Work
from onnxproof.source.shards import checkpoint_files, digest_of
from onnxproof.spec import Source
from onnxproof.usercode.allowed import Roots, find_file

if TYPE_CHECKING:
    from torch import nn


def checkpoint_digest(source: Source, roots: Roots) -> str | None:
    """Digest of ``source.weights``; None without them.

    Raises:
        SourceError: A file is not there or leaves the roots.
    """
    if source.weights is None:
        return None
    return digest_of(checkpoint_files(source.weights.path, roots))


def file_digest(source: Source, roots: Roots) -> str:
    """Digest of the one file that the source names.

    Raises:
        SourceError: It is not there or leaves the roots.
    """
    return sha256_of(find_file(source.target, roots))


def file_name(target: str, suffixes: tuple[str, ...]) -> str:
    """Name of the file or folder at ``target``, without its suffix where that is among these."""
    path = Path(target).absolute()  # "." has no name of its own
    return path.stem if path.suffix in suffixes else path.name


def _no_module(_target: str) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SourceKind:
    """How sources of one kind are built, told apart and named.

    Attributes:
        build: The module, before ``source.weights`` is put into it.
        default_name: A registered model name for the field's value; the caller replaces what MLflow
            does not allow in it.
        digest: Digest of the bytes that tell the weights, without building anything; None where
            only building tells them.
        package: Distribution whose code the kind is, and the extra of onnxproof that installs it;
            None where the model brings its code along.
        python_module: Module of the user's that the field's value names, whose code the proof key
            holds; None where the value names no module.
    """

    build: Callable[[Source, Work], nn.Module]
    default_name: Callable[[str], str]
    digest: Callable[[Source, Roots], str | None] = checkpoint_digest
    package: str | None = None
    python_module: Callable[[str], str | None] = _no_module


def kind_of(name: str) -> SourceKind:
    """The kind whose field in the spec is called ``name``."""
    kind: SourceKind = importlib.import_module(f"onnxproof.source.{name}").KIND
    return kind
