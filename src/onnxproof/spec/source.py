"""Where the ``nn.Module`` comes from, and its weights."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from onnxproof.spec.section import Section


class Weights(Section):
    """A checkpoint file beside the spec or below the current folder."""

    path: str = Field(description=".safetensors, or a .pt that loads with weights_only=True.")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Source(Section):
    """Where the ``nn.Module`` comes from."""

    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:callable")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Arguments of the factory.")
    weights: Weights | None = None
    call: Literal["auto", "positional", "keyword"] = "auto"
    trust: Literal["none", "pickle"] = Field(
        default="none", description="pickle: let a .pt checkpoint run the code it carries."
    )
