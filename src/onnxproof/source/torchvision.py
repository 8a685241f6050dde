"""``source.torchvision``: a model of torchvision by its name, with random weights."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Final

from onnxproof.records import Work
from onnxproof.source.kind import SourceKind
from onnxproof.source.model_zoo import call_builder, no_such_model, refuse_downloads
from onnxproof.source.optional_packages import import_package
from onnxproof.spec import Source

if TYPE_CHECKING:
    from torch import nn


def build(source: Source, work: Work) -> nn.Module:  # noqa: ARG001  # every kind takes both
    """The named model.

    Raises:
        SourceError: The package is not installed, has no such model, or is asked to download.
        LoadError: The package cannot be imported here, or the model refused its arguments.
    """
    refuse_downloads(source)
    import_package("torchvision")
    models = importlib.import_module("torchvision.models")
    if source.target not in (names := models.list_models()):
        raise no_such_model(source, names)
    builder = models.get_model_builder(source.target)
    # Detection and segmentation load a backbone's weights unless they are told not to.
    parameters = inspect.signature(builder).parameters
    none = dict.fromkeys(name for name in ("weights", "weights_backbone") if name in parameters)
    return call_builder(source, builder, **none)


KIND: Final = SourceKind(build=build, default_name=str, package="torchvision")
