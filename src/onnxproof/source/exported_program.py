"""``source.exported_program``: a ``.pt2`` file of ``torch.export.save``.

``torch.export.load`` unpickles example inputs, and whatever weight or constant the archive marks so
(torch 2.13, ``pt2_archive/_package.py``). Without ``trust: pickle`` every pickle in it is read as
``weights_only=True``, by PyTorch's own switch, and archives with compiled code or objects beyond
tensors are refused.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.checkpoint import code_in
from onnxproof.source.kind import SourceKind, file_digest, file_name
from onnxproof.spec import Source
from onnxproof.usercode.allowed import find_file

if TYPE_CHECKING:
    from torch import nn

SUFFIXES: Final = (".pt2", ".pt")
WEIGHTS_ONLY: Final = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
COMPILED: Final = "/data/aotinductor/"
CONSTANTS: Final = re.compile(r"/data/constants/[^/]*_config\.json$")
PLAIN: Final = "tensor_"
"""How the constants' files begin that are read as tensors; others are objects, always unpickled."""


def build(source: Source, work: Work) -> nn.Module:
    """The program's module; it keeps the program's own guards on the sizes of its inputs.

    Raises:
        SourceError: There is no such file, it is something else, or it would run code.
        LoadError: ``torch.export`` cannot read it.
    """
    path = find_file(source.target, work.roots)
    return load_program(path, trusted=source.trusts_pickle)


def load_program(path: Path, *, trusted: bool) -> nn.Module:
    """The module of the program at ``path``.

    Raises:
        SourceError: It is something else, or it would run code and is not trusted.
        LoadError: ``torch.export`` cannot read it.
    """
    import torch

    _look_inside(path, trusted=trusted)
    try:
        with _weights_only(not trusted):
            program = torch.export.load(path)
        module: Any = program.module()
    except pickle.UnpicklingError as error:
        raise SourceError(_would_run(path, code_in(error) or "a pickle")) from None
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"torch.export.load cannot read {path.name}: {type(error).__name__}: {text}; "
            "save it again with the installed torch"
        ) from error
    # The module of a program refuses train() and eval(), which the exporters call; this is the
    # same graph without that. The program was exported in one mode and stays in it.
    return torch.fx.GraphModule(module, module.graph)


def _look_inside(path: Path, *, trusted: bool) -> None:
    """Raise SourceError for what is no exported program, or holds more than tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            configs = [json.loads(archive.read(n)) for n in names if CONSTANTS.search(n)]
    except (zipfile.BadZipFile, ValueError):
        names, configs = [], []
    if not any(name.endswith("models/model.json") for name in names):
        script = any("/code/" in name for name in names)
        hint = "name it source.torchscript" if script else "write one with torch.export.save"
        raise SourceError(f"{path.name} is no exported program; {hint}")
    if trusted:
        return
    if len(names) != len(set(names)) or any(COMPILED in f"/{name}" for name in names):
        raise SourceError(_would_run(path, "compiled code, or a file twice"))
    for config in configs:
        for name, entry in config.get("config", {}).items():
            if not str(entry.get("path_name")).startswith(PLAIN):
                raise SourceError(_would_run(path, f"the object {name}"))


def _would_run(path: Path, what: str) -> str:
    return (
        f"{path.name} holds more than tensors ({what}) and would run code; it was not opened. "
        "Set source.trust: pickle if you trust its author as you trust your own code"
    )


@contextmanager
def _weights_only(wanted: bool) -> Iterator[None]:
    """Let every ``torch.load`` inside of the block read tensors alone, whatever it is told."""
    before = os.environ.get(WEIGHTS_ONLY)
    if wanted:
        os.environ[WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        if wanted:
            os.environ.pop(WEIGHTS_ONLY)
            if before is not None:
                os.environ[WEIGHTS_ONLY] = before


def _name(target: str) -> str:
    return file_name(target, SUFFIXES)


KIND: Final = SourceKind(build=build, default_name=_name, digest=file_digest)
