"""``source.mlflow``: a model of MLflow's PyTorch flavor, from the folder that was fetched."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.exported_program import load_program
from onnxproof.source.kind import SourceKind
from onnxproof.source.torchscript import load_script, read_code
from onnxproof.spec import Source
from onnxproof.usercode.allowed import put_on_path

if TYPE_CHECKING:
    from torch import nn

FOLDER: Final = "source-model"
"""Below the work folder; every child of a run reads the same copy."""
PROGRAM, PICKLE = "model.pt2", "model.pth"


def build(source: Source, work: Work) -> nn.Module:
    """The model as it was logged; a pickle is opened only with ``trust: pickle``.

    Raises:
        SourceError: It has no PyTorch flavor, or is a pickle that is not trusted.
        LoadError: What was logged cannot be read here.
    """
    folder = Path(work.path(FOLDER))
    flavors = _flavors(folder)
    if "pytorch" not in flavors:
        raise SourceError(
            f"{source.target} has the flavors {', '.join(flavors) or 'none'}, not pytorch; log "
            "the model with mlflow.pytorch, or name another"
        )
    data = folder / flavors["pytorch"].get("model_data", "data")
    if (data / PROGRAM).is_file():
        return load_program(data / PROGRAM, trusted=source.trusts_pickle)
    if read_code(data / PICKLE) is not None:
        return load_script(data / PICKLE, trusted=source.trusts_pickle)
    if not source.trusts_pickle:
        raise SourceError(
            f"{source.target} was logged as a pickle, which runs code when it is opened, and was "
            "not opened; log it with serialization_format='pt2', or set source.trust: pickle if "
            "you trust its author as you trust your own code"
        )
    return _unpickle(source, folder, data / PICKLE, work)


def _flavors(folder: Path) -> dict[str, Any]:
    import yaml

    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    return dict(described.get("flavors", {}))


def _unpickle(source: Source, folder: Path, file: Path, work: Work) -> nn.Module:
    import torch

    put_on_path(work.roots if work.local_code else ())
    sys.path.insert(0, str(folder / "code"))  # where MLflow puts code_paths
    try:
        module = torch.load(file, map_location="cpu", weights_only=False)
    except Exception as error:
        text = one_line(error, 400)
        raise LoadError(
            f"{source.target} cannot be unpickled here: {type(error).__name__}: {text}; a "
            "pickle needs the classes it was made of: install them, or log it with code_paths"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise LoadError(f"{source.target} holds {type(module).__name__}, not a torch.nn.Module")
    return module


def _name(target: str) -> str:
    """The model's name with ``-onnx``: an ONNX model of the same name would share its versions."""
    if target.startswith("runs:"):
        name = target.rpartition("/")[2]
    else:
        name = "".join(re.split("[/@]", target)[1:2])
    return f"{name}-onnx"


KIND: Final = SourceKind(build=build, default_name=_name)
