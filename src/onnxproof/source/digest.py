"""What tells a source's weights without building it: the bytes of its files."""

from __future__ import annotations

import hashlib
from typing import Final

from onnxproof.artifact import sha256_of
from onnxproof.source.shards import checkpoint_files, digest_of
from onnxproof.source.transformers_folder import find_model_folder
from onnxproof.spec import Source
from onnxproof.usercode.access import Roots, find_file

PACKAGES: Final = ("transformers", "timm", "torchvision")
"""Kinds whose code is a distribution of that name."""


def fingerprint(source: Source, roots: Roots) -> str | None:
    """Digest of the files that hold the source's weights; None where building it tells them.

    Raises:
        SourceError: A file is not there, leaves the roots, or is of another kind.
    """
    parts = []
    weights = checkpoint_files(source.weights.path, roots) if source.weights else ()
    if source.kind in ("torchscript", "exported_program"):
        return sha256_of(find_file(source.target, roots))
    if source.kind == "transformers":
        folder = find_model_folder(source.target, roots)
        weights = weights or folder.weights
        parts.append(sha256_of(folder.config))
    if not weights:
        return None
    parts.append(digest_of(weights))
    return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()
