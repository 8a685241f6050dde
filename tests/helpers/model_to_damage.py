"""A model whose exported graph tests damage; a line that they look for ends in its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn


def line_of(name: str) -> str:
    """``tests/helpers/model_to_damage.py:12`` for the line that is marked with ``name``."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {name}")]
    assert len(marked) == 1
    return f"tests/helpers/model_to_damage.py:{marked[0]}"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.fc = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)  # norm
        h = self.fc(h)  # fc
        h = nn.functional.gelu(h)  # gelu
        return x - h  # sub


class Net(nn.Module):
    """``float32[batch, seq, 8]`` to ``float32[batch, 3]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block() for _ in range(4)])
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        x = x[:, 1:]  # slice
        result: torch.Tensor = self.head(x.mean(1))
        return result


class Times(nn.Module):
    """A branch beside the layers, and statistics inside of them that nothing takes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        x = self.norm(x) * times[..., None]  # times
        return x.sum(1)


def times() -> nn.Module:
    return Times()


def wrong_gelu(g: Any, x: Any, _approximate: Any) -> Any:
    """A translation of ``aten::gelu`` for TorchScript's exporter."""
    return g.op("Relu", x).setType(x.type())


def build() -> nn.Module:
    torch.manual_seed(0)
    return Net()
