"""What tells a source's weights without building it: the bytes of its files."""

from __future__ import annotations

from onnxproof.source.kind import kind_of
from onnxproof.spec import Source
from onnxproof.usercode.allowed import Roots


def fingerprint(source: Source, roots: Roots) -> str | None:
    """Digest of the files that hold the source's weights; None where building it tells them.

    Raises:
        SourceError: A file is not there, leaves the roots, or is of another kind.
    """
    return kind_of(source.kind).digest(source, roots)
