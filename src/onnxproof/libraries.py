"""Libraries of operators that ONNX Runtime has not itself, and a model of this spec needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from onnxproof.artifact import atomic_write
from onnxproof.errors import SourceError
from onnxproof.records import Work
from onnxproof.sources import import_factory
from onnxproof.spec import Spec

FILE: Final = "libraries.json"
"""In the work folder, and nowhere else: the paths are those of this machine."""


def find_libraries(spec: Spec, work: Work) -> tuple[str, ...]:
    """In a child: ask each of ``export.needs`` for its file, and note it for the later stages.

    Raises:
        SourceError: A module is not allowed or not there, or gives no file.
        LoadError: A module raised while it was imported.
    """
    found = []
    for reference in spec.export.needs:
        function = import_factory(reference, work.roots, work.allow, local_code=work.local_code)
        try:
            path = function()
        except Exception as error:
            raise SourceError(
                f"export.needs {reference} raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(path, str | Path) or not Path(path).is_file():
            raise SourceError(
                f"export.needs {reference} gives {path!r}, which is no file; let it return the "
                "path of a library that SessionOptions.register_custom_ops_library takes"
            )
        found.append(str(path))
    if found:
        with atomic_write(Path(work.path(FILE))) as draft:
            draft.write_text(json.dumps(found), encoding="utf-8")
    return tuple(found)


def noted_libraries(folder: str | Path) -> tuple[str, ...]:
    """What ``find_libraries`` found for the run in this work folder."""
    path = Path(folder, FILE)
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()
