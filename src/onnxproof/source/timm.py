"""``source.timm``: a model of timm by its name, with random weights."""

from __future__ import annotations

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
    timm = import_package("timm")
    if not timm.is_model(source.target):
        raise no_such_model(source, timm.list_models())
    return call_builder(source, timm.create_model, source.target, pretrained=False)


KIND: Final = SourceKind(build=build, default_name=str, package="timm")
