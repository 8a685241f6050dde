"""``source.timm`` and ``source.torchvision``: a model by its name, without pretrained weights.

Both download pretrained weights when asked; here weights are a file, ``source.weights``, so that
the proof key knows their bytes.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.optional_packages import import_package
from onnxproof.spec import Source

if TYPE_CHECKING:
    from torch import nn

DOWNLOADS: Final = ("pretrained", "pretrained_cfg", "weights", "weights_backbone")


def build(source: Source, work: Work) -> nn.Module:  # noqa: ARG001  # every kind takes both
    """The named model, with random weights.

    Raises:
        SourceError: The package is not installed, or has no such model.
        LoadError: The package cannot be imported here, or the model refused its arguments.
    """
    if asked := sorted(set(DOWNLOADS) & set(source.kwargs)):
        raise SourceError(
            f"source.kwargs asks {source.kind} for {asked[0]}, which downloads; put the checkpoint "
            "in a file and name it in source.weights"
        )
    package = import_package(source.kind)
    return _timm(package, source) if source.kind == "timm" else _torchvision(source)


def _timm(timm: Any, source: Source) -> nn.Module:
    if not timm.is_model(source.target):
        raise SourceError(_no_model(source, timm.list_models()))
    return _call(source, timm.create_model, source.target, pretrained=False)


def _torchvision(source: Source) -> nn.Module:
    models = importlib.import_module("torchvision.models")
    if source.target not in (names := models.list_models()):
        raise SourceError(_no_model(source, names))
    builder = models.get_model_builder(source.target)
    # Detection and segmentation load a backbone's weights unless they are told not to.
    parameters = inspect.signature(builder).parameters
    none = dict.fromkeys(name for name in ("weights", "weights_backbone") if name in parameters)
    return _call(source, builder, **none)


def _call(source: Source, builder: Any, *args: Any, **fixed: Any) -> nn.Module:
    try:
        module: nn.Module = builder(*args, **fixed, **source.kwargs)
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"{source.kind} cannot build {source.target}: {type(error).__name__}: {text}; "
            "correct source.kwargs"
        ) from error
    return module


def _no_model(source: Source, names: list[str]) -> str:
    close = difflib.get_close_matches(source.target, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {len(names)} others"
    return f"{source.kind} has no model {source.target!r}; {hint}"
