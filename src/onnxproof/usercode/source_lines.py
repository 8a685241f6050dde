"""The line of the author's code in a stack trace, named without a path of this machine."""

from __future__ import annotations

import functools
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_PYTHON_FRAME: Final = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
_TRACED_FRAME: Final = re.compile(r"^(?P<file>\S.*)\((?P<line>\d+)\): ", re.MULTILINE)
_PATH: Final = re.compile(r"(?<![\w.:/])(?:/[\w.@+-]+){2,}")
_MACHINERY: Final = ("torch", "onnxproof", "onnxscript", "onnx_ir", "onnx")
"""Packages whose frames say least: what the author called is further out."""


def author_line(trace: str, roots: Sequence[str]) -> str:
    """``model.py:12``: the innermost line below a root, else in a package, else in torch.

    Args:
        trace: As ``torch.export`` notes it (innermost last), or TorchScript (innermost first).
        roots: Folders from which local files are named.
    """
    nearest = _nearest(trace, roots)
    return nearest[1] if nearest else ""


def model_line(trace: str, roots: Sequence[str]) -> str:
    """The same, and nothing where only the exporter's own lines are there."""
    nearest = _nearest(trace, roots)
    return nearest[1] if nearest and nearest[0] <= 1 else ""


def without_folders(text: str, roots: Sequence[str]) -> str:
    """``text`` with every absolute path cut down to the name that ``author_line`` gives."""
    return _PATH.sub(lambda path: _name_file(path[0], tuple(roots))[1], text)


def _nearest(trace: str, roots: Sequence[str]) -> tuple[int, str] | None:
    frames = [match.group("file", "line") for match in _PYTHON_FRAME.finditer(trace)][::-1]
    frames += [match.group("file", "line") for match in _TRACED_FRAME.finditer(trace)]
    named = [(*_name_file(file, tuple(roots)), line) for file, line in frames]
    rank = min((rank for rank, _, _ in named), default=None)
    return next(
        ((file_rank, f"{name}:{line}") for file_rank, name, line in named if file_rank == rank),
        None,
    )


@functools.cache
def _name_file(file: str, roots: tuple[str, ...]) -> tuple[int, str]:
    """How far the file is from the author (0 is the author's), and its name without the folder."""
    path = Path(file)
    for folder in _package_folders():
        if path.is_relative_to(folder):
            name = path.relative_to(folder)
            return (2 if name.parts[:1] and name.parts[0] in _MACHINERY else 1), name.as_posix()
    if path.is_relative_to(sysconfig.get_path("stdlib")):
        return 3, path.name
    for root in roots:
        if path.is_relative_to(base := Path(root).resolve()):
            return 0, path.relative_to(base).as_posix()
    return (1 if path.is_file() else 3), path.name


@functools.cache
def _package_folders() -> tuple[Path, ...]:
    """Where installed packages lie, and this package, which a checkout has elsewhere."""
    installed = {
        Path(folder) for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))
    }
    return (Path(__file__).resolve().parents[2], *sorted(installed))
