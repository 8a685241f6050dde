"""``source.torchscript``: a file of ``torch.jit.save``.

TorchScript is no Python: it runs PyTorch's operators and nothing else. Two of those write or read
files by name, so an archive whose code calls one is opened only with ``trust: pickle``.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.kind import SourceKind, file_digest, file_name
from onnxproof.spec import Source
from onnxproof.usercode.allowed import find_file

if TYPE_CHECKING:
    from torch import nn

SUFFIXES: Final = (".pt", ".pth", ".ts")
REACHES_FILES: Final = re.compile(r"\b(save|from_file|load_tensor)\(")
"""``aten::save``, ``aten::from_file`` and ``debugprims::load_tensor``: of all schemas with a string
in them, the ones that take a path (torch 2.13)."""
FOREIGN: Final = re.compile(r"\bops\.(?!aten\b|prim\b|prims\b|quantized\b|torchvision\b)(\w+)\.")


def build(source: Source, work: Work) -> nn.Module:
    """The scripted or traced module in the file.

    Raises:
        SourceError: There is no such file, it is something else, or it reaches for files.
        LoadError: TorchScript cannot read it.
    """
    path = find_file(source.target, work.roots)
    return load_script(path, trusted=source.trusts_pickle)


def load_script(path: Path, *, trusted: bool) -> nn.Module:
    """The module of the archive at ``path``.

    Raises:
        SourceError: It is something else, or it reaches for files and is not trusted.
        LoadError: TorchScript cannot read it.
    """
    import torch

    code = read_code(path)
    if code is None:
        raise SourceError(_not_torchscript(path))
    if not trusted:
        _refuse_reach(path, code)
    try:
        module: nn.Module = torch.jit.load(path, map_location="cpu")
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"torch.jit.load cannot read {path.name}: {text}; save it again with the "
            "installed torch, and import nothing that registers operators"
        ) from error
    return module


def read_code(path: Path) -> str | None:
    """All TorchScript code in an archive; None when it is no archive of ``torch.jit.save``."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            parts = [name for name in names if "/code/" in name and name.endswith(".py")]
            whole = {name.partition("/")[2] for name in names} >= {"constants.pkl", "data.pkl"}
            # With a name twice, two readers of the archive may see two different files.
            if not parts or not whole or max(Counter(names).values()) > 1:
                return None
            return "\n".join(archive.read(name).decode() for name in parts)
    except (zipfile.BadZipFile, UnicodeDecodeError):
        return None


def _refuse_reach(path: Path, code: str) -> None:
    if found := REACHES_FILES.search(code):
        raise SourceError(
            f"{path.name} calls {found[1]}, which reads or writes files by name, and was not "
            "opened; set source.trust: pickle if you trust its author as you trust your own code"
        )
    if found := FOREIGN.search(code):
        raise SourceError(
            f"{path.name} calls operators of {found[1]}, which is no part of PyTorch's own; use a "
            "factory that registers them, from an allowed package"
        )


def _not_torchscript(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    if start != b"PK":
        what = "no TorchScript archive"
    elif path.suffix == ".pt2":
        what = "an exported program; name it source.exported_program"
    else:
        what = "an archive without TorchScript code (a checkpoint or a pickled module)"
    return (
        f"{path.name} is {what}. source.torchscript takes what torch.jit.save wrote; for a state "
        "dict name a factory and source.weights"
    )


def _name(target: str) -> str:
    return file_name(target, SUFFIXES)


KIND: Final = SourceKind(build=build, default_name=_name, digest=file_digest)
