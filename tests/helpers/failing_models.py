"""Models that exporters refuse or get wrong; the line at fault ends in the name of its class.

The last two are right for every size.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def line_of(name: str) -> str:
    """``tests/helpers/failing_models.py:12`` for the line that is marked with ``name``."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {name}")]
    assert len(marked) == 1
    return f"tests/helpers/failing_models.py:{marked[0]}"


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        if y.sum() > 0:  # Branch
            return y + 1
        return y - 1


class Count(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(int(x.sum().abs()) + 1):  # Count
            x = x * 2
        return x


class Histogram(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 1
        return torch.histc(x, bins=4)  # Histogram


class Unpacks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, *_ = x.unbind(1)  # Unpacks
        return first


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            raise ValueError(f"{__file__} said no")  # Raises
        return x


class Fixes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.tolist()  # Fixes
        return x / len(rows)


class Narrows(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 2:  # Narrows
            return x + 1
        return x - 1


class Right(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], 2, 2).flatten(1) + x.mean(0)


class Shared(nn.Module):
    def forward(
        self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``[batch, seq, 4]``, ``[batch, other, 4]`` and ``[batch, 2*seq]``."""
        return x @ y.transpose(1, 2), z.reshape(x.shape[0], x.shape[1], 2).sum(-1)
