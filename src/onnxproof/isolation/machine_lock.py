"""One benchmark at a time on a machine: two at once would time each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxproof.errors import BenchmarkError


def lock_path() -> Path:
    """The file in the temporary folder that every user and project of this machine locks."""
    return Path(tempfile.gettempdir(), "onnxproof-benchmark.lock")


@contextmanager
def alone_on_this_machine(waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the machine for a benchmark; ``waiting`` is called once when another one has it.

    The kernel lets go when the process ends, however it ends.

    Raises:
        BenchmarkError: The lock cannot be opened.
    """
    try:
        handle = _open(lock_path())
    except OSError as error:
        raise BenchmarkError(
            f"cannot open {lock_path()}, which keeps benchmarks from timing each other: "
            f"{error.strerror}; remove it, or set TMPDIR to a folder that can be written"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    # Reading is enough for a lock. Linux refuses O_CREAT on another user's file in a folder such as
    # /tmp (fs.protected_regular), so the file is opened first and made only where it is missing.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o644)
