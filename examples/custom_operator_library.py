"""An operator that no ONNX function can say: one of ONNX Runtime's extensions, from a library.

``pip install onnxruntime-extensions`` brings the library. Whoever runs the model registers it with
its session; the version in the registry has a tag that says so.
"""

# onnxscript reads its functions as a language of its own, which is no typed Python.
# mypy: disable-error-code="misc, no-any-return, operator, type-arg, type-var"

from __future__ import annotations

import onnxscript
import torch
from onnxscript import FLOAT
from torch import nn

extensions = onnxscript.values.Opset("ai.onnx.contrib", 1)


@torch.library.custom_op("examples::inverse", mutates_args=())
def inverse(x: torch.Tensor) -> torch.Tensor:
    """The inverse of a matrix."""
    return torch.linalg.inv(x)


@inverse.register_fake
def _like_its_input(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


@onnxscript.script(onnxscript.values.Opset("examples", 1), default_opset=onnxscript.opset18)
def Inverse(x: FLOAT[...]) -> FLOAT[...]:  # noqa: N802  # the name of an ONNX operator
    """The operator of the extensions."""
    return extensions.Inverse(x)


class Whitening(nn.Module):
    """``float32[batch, 4]`` to its coordinates after the inverse of what its rows span."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The ridge keeps the matrix far from a singular one."""
        return x @ inverse(x.T @ x + 4 * torch.eye(4))


def build() -> nn.Module:
    """The module; it has no weights."""
    return Whitening()
