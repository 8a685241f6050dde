"""The files of a checkpoint: one, or an index in JSON and the shards that it names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from onnxproof.artifact import sha256_of
from onnxproof.errors import SourceError
from onnxproof.usercode.allowed import Roots, find_file

INDEX: Final = ".safetensors.index.json"


def checkpoint_files(path: str, roots: Roots) -> tuple[Path, ...]:
    """The file at ``path``; for an index, the index and then its shards by name.

    Raises:
        SourceError: A file is missing or leaves the roots, or the index cannot be read.
    """
    file = find_file(path, roots)
    if not path.endswith(INDEX):
        return (file,)
    folder = path.removesuffix(file.name)
    return (file, *(find_file(f"{folder}{name}", roots) for name in _shards(file)))


def digest_of(files: tuple[Path, ...]) -> str:
    """Sha256 of the one file; of more, of what ``sha256sum`` prints for them in their folder."""
    if len(files) == 1:
        return sha256_of(files[0])
    lines = "".join(f"{sha256_of(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _shards(index: Path) -> list[str]:
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, AttributeError, TypeError):
        names = {""}
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise SourceError(
            f"{index.name} is no index of a sharded checkpoint; it needs a weight_map from each "
            "key to a .safetensors file beside it"
        )
    if strange := sorted(name for name in names if not name.endswith(".safetensors")):
        raise SourceError(
            f"{index.name} names {strange[0]}, which is no .safetensors; "
            "save the shards with safetensors"
        )
    return sorted(names)
