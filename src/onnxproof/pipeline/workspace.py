"""From what a person names to a spec, and the folder in which one run works.

Work folders are ``HOME/work/NAME/DATE-TIME``; the newest five of a model stay.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from onnxproof.errors import BadInput
from onnxproof.records import Work
from onnxproof.spec import Spec

KEPT_FOLDERS: Final = 5


def open_work(
    spec: Spec,
    roots: tuple[str, ...],
    *,
    home: Path,
    allow: tuple[str, ...],
    local_code: bool,
    metadata: Mapping[str, str],
) -> Work:
    """A new, empty folder for one run of ``spec``; older ones beyond the newest five are removed.

    Raises:
        BadInput: The folder cannot be written.
    """
    models = home / "work" / spec.name
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = models / stamp
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(
            f"cannot make the work folder {folder}: {error.strerror}; "
            "set ONNXPROOF_HOME to a folder that can be written"
        ) from None
    for old in sorted(entry for entry in models.iterdir() if entry.is_dir())[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
    return Work(
        folder=str(folder),
        roots=roots,
        allow=allow,
        metadata=dict(metadata),
        local_code=local_code,
    )


@contextlib.contextmanager
def scratch_work(
    allow: tuple[str, ...], *, local_code: bool, roots: tuple[str, ...] | None = None
) -> Iterator[Work]:
    """A folder for what is done to a version that is registered already; it goes away.

    Args:
        allow: Packages that may be imported.
        local_code: Modules below the roots may be imported too.
        roots: The current folder if left out.
    """
    with tempfile.TemporaryDirectory(prefix="onnxproof-") as folder:
        Path(folder, "logs").mkdir()
        yield Work(
            folder=folder,
            roots=roots or (str(Path.cwd()),),
            allow=allow,
            metadata={},
            local_code=local_code,
        )


def discard_work(work: Work) -> None:
    """Remove the folder of a run that failed on bad input: nothing in it is worth keeping."""
    shutil.rmtree(work.folder, ignore_errors=True)
