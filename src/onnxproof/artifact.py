"""Files that carry their digest, and writes that leave either the whole file or none."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Artifact(BaseModel):
    """A file below a work folder, as it was when it was written.

    The path is relative, so that a record says the same on every machine.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)

    @classmethod
    def of(cls, folder: str | Path, path: str) -> Artifact:
        """Describe the file at ``path`` below ``folder``, read once from start to end."""
        file = Path(folder, path)
        return cls(path=path, sha256=sha256_of(file), size_bytes=file.stat().st_size)

    def unchanged(self, folder: str | Path) -> bool:
        """Whether the file below ``folder`` still holds the bytes that were described."""
        file = Path(folder, self.path)
        return file.is_file() and sha256_of(file) == self.sha256


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes, without holding them in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes the name only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        os.chmod(draft, 0o644)  # mkstemp makes 0600, which a server under another user cannot read
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
