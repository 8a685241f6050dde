"""What ONNX Runtime has not itself: libraries of operators, and of execution providers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from onnxproof.artifact import atomic_write
from onnxproof.errors import SourceError
from onnxproof.records import Work
from onnxproof.spec import Provider
from onnxproof.usercode.allowed import import_factory

FILE: Final = "libraries.json"
"""In the work folder, and nowhere else: the paths are those of this machine."""


def find_libraries(needs: Sequence[str], work: Work) -> tuple[str, ...]:
    """In a child: ask each of ``needs`` for its file, and note it for the later stages.

    Raises:
        SourceError: A module is not allowed or not there, or gives no file.
        LoadError: A module raised while it was imported.
    """
    taker = "SessionOptions.register_custom_ops_library"
    found = [_path_from("export.needs", reference, taker, work) for reference in needs]
    if found:
        with atomic_write(Path(work.path(FILE))) as draft:
            draft.write_text(json.dumps(found), encoding="utf-8")
    return tuple(found)


def find_plugin(provider: Provider, work: Work) -> str | None:
    """In a child: the library of an execution provider; None where ONNX Runtime has it itself.

    Raises:
        SourceError: The module is not allowed or not there, or gives no file.
        LoadError: The module raised while it was imported.
    """
    if provider.library is None:
        return None
    taker = "onnxruntime.register_execution_provider_library"
    return _path_from("benchmark.providers library", provider.library, taker, work)


def _path_from(word: str, reference: str, taker: str, work: Work) -> str:
    function = import_factory(reference, work.roots, work.allow, local_code=work.local_code)
    try:
        path = function()
    except Exception as error:
        raise SourceError(f"{word} {reference} raised {type(error).__name__}: {error}") from error
    if not isinstance(path, str | Path) or not Path(path).is_file():
        raise SourceError(
            f"{word} {reference} gives {path!r}, which is no file; let it return the path of a "
            f"library that {taker} takes"
        )
    return str(path)


def noted_libraries(folder: str | Path) -> tuple[str, ...]:
    """What ``find_libraries`` found for the run in this work folder."""
    path = Path(folder, FILE)
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()
