"""How far from PyTorch an element may be."""

from __future__ import annotations

from pydantic import Field

from onnxproof.spec.base import Section


class Tolerance(Section):
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``."""

    atol: float = Field(ge=0)
    rtol: float = Field(ge=0)
