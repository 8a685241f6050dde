"""An operator of one's own in PyTorch, and the ONNX function that says the same.

``torch.library`` makes the operator, so both exporters see one node instead of the lines inside.
No exporter knows it: ``export.translations`` in ``custom_operator.yaml`` names ``Swirl`` for it,
and the graph calls that function, whose body travels in the file.
"""

# onnxscript reads its functions as a language of its own, which is no typed Python.
# mypy: disable-error-code="misc, no-any-return, operator, type-arg, type-var"

from __future__ import annotations

import onnxscript
import torch
from onnxscript import FLOAT
from onnxscript import opset18 as op
from torch import nn


@torch.library.custom_op("examples::swirl", mutates_args=())
def swirl(x: torch.Tensor, turns: int, radius: float = 0.5) -> torch.Tensor:
    """The sine of some turns, with a radius."""
    return torch.sin(x * turns) * radius


@swirl.register_fake
def _like_its_input(x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
    return torch.empty_like(x)


@onnxscript.script(onnxscript.values.Opset("examples", 1))
def Swirl(  # noqa: N802  # the name of an ONNX operator
    x: FLOAT[...], turns: int, radius: float = 0.5
) -> FLOAT[...]:
    """Tensors are inputs, numbers are attributes; PyTorch needs the annotation of the output."""
    angle = x * op.CastLike(op.Constant(value_int=turns), x)
    return op.Sin(angle) * op.CastLike(op.Constant(value_float=radius), x)


class Swirls(nn.Module):
    """``float32[batch, 4]`` to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Two uses, with and without the default."""
        return swirl(self.mix(x), 3) + swirl(x, 2, 0.25)


def build() -> nn.Module:
    """The network, with seeded weights."""
    return Swirls()
