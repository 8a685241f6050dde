"""Packages that only some kinds of source need; an extra of onnxproof has the name of each."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from onnxproof.errors import LoadError, SourceError, one_line


def import_package(name: str) -> Any:
    """The package.

    Raises:
        SourceError: It is not installed.
        LoadError: It is, and cannot be imported here.
    """
    require_package(name)
    try:
        return importlib.import_module(name)
    except Exception as error:
        text = one_line(error, 300)
        raise LoadError(
            f"{name} is installed and cannot be imported: {type(error).__name__}: {text}; "
            "timm and torchvision need the torchvision that was built for this torch "
            "(the same index of wheels, CPU or CUDA)"
        ) from error


def require_package(name: str) -> None:
    """Nothing; for a package that is not there, an error that names the extra.

    Raises:
        SourceError: It is not installed.
    """
    if importlib.util.find_spec(name) is None:
        raise SourceError(
            f"source.{name} needs the package {name}, which is not installed; "
            f"pip install 'onnxproof[{name}]'"
        )
