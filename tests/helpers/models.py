"""Tiny models, good and bad, that tests name as ``tests.helpers.models:FACTORY``."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import torch
from torch import nn


class Linear(nn.Module):
    """``float32[batch, 4]`` to ``float32[batch, 3]``."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x)
        return result


class Scaled(Linear):
    """Linear whose arguments change the weights, all but one, which changes the graph alone."""

    def __init__(self, *, seed: int, width: int, by_matmul: bool, extra: bool) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = nn.Linear(4, width)
        self.by_matmul = by_matmul
        if extra:
            self.register_buffer("extra", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.by_matmul:
            return x @ self.layer.weight.T + self.layer.bias
        return super().forward(x)


class Tokens(nn.Module):
    """Two inputs with two dims, a mask, and two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        hidden = self.embed(input_ids) * attention_mask.unsqueeze(-1)
        return {"hidden": hidden, "pooled": hidden.sum(1) / attention_mask.sum(1, keepdim=True)}


class Tied(nn.Module):
    """``int64[batch, 4] in 0..999`` to ``float32[batch, 4, 1000]``; its embedding is its head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(1000, 16)
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 1000, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.layers(self.embed(x)))
        return result


class DropoutOn(Linear):
    """Behaves differently on every call, also in eval mode."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, training=True))


class Nan(Linear):
    """Divides nothing by nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * (x.sum() * 0 / 0)


class Repeat(Linear):
    """The classic lesson: tracing bakes the number of rounds in."""

    def forward(self, x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        for _ in range(int(steps)):
            x = x * 2
        return super().forward(x)


class BakesBatch(Linear):
    """Tracing bakes the example's batch size in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / float(len(x.tolist()))


class Breaks(Linear):
    """Cannot be exported by any strategy."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if (
            torch.compiler.is_exporting()
            or torch.onnx.is_in_onnx_export()
            or torch.jit.is_tracing()
        ):
            raise NotImplementedError("this module does not want to leave PyTorch")
        return super().forward(x)


def linear() -> nn.Module:
    return Linear()


def scaled(
    seed: int = 0, width: int = 3, *, by_matmul: bool = False, extra: bool = False
) -> nn.Module:
    return Scaled(seed=seed, width=width, by_matmul=by_matmul, extra=extra)


def tokens() -> nn.Module:
    return Tokens()


def tied() -> nn.Module:
    return Tied()


def dropout_on() -> nn.Module:
    return DropoutOn()


def nan() -> nn.Module:
    return Nan()


def repeat() -> nn.Module:
    return Repeat()


def bakes_batch() -> nn.Module:
    return BakesBatch()


def breaks() -> nn.Module:
    return Breaks()


def conv(channels: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


def raises() -> nn.Module:
    raise RuntimeError("the factory is out of order")


def returns_text() -> Any:
    return "a module, honestly"


def exits() -> nn.Module:
    sys.exit(7)


def leaves() -> nn.Module:
    os._exit(7)


def hangs() -> nn.Module:
    time.sleep(600)
    raise AssertionError


def eats_memory() -> nn.Module:
    kept = []
    while True:
        kept.append(bytearray(50_000_000))


def batch_statistics() -> nn.Module:
    """A norm without running statistics takes those of the batch, also in eval mode."""
    norm = nn.BatchNorm1d(4, track_running_stats=False)
    return nn.Sequential(nn.Unflatten(1, (4, 1)), norm, nn.Flatten())


class InDouble(nn.Module):
    """Computes in float64 on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.double() @ self.weight.double()).float()


def in_double() -> nn.Module:
    return InDouble()


class Words(nn.Module):
    """Two tables of a thousand rows, of which tokens below 10 touch ten, and two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.other = nn.Embedding(1000, 32), nn.Embedding(1000, 32)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.down(self.up(self.embed(x) - self.other(x)).relu())
        return result


def words() -> nn.Module:
    return Words()


def folds() -> nn.Module:
    """Convolutions with batch norms that have something to fold."""
    norms = [nn.BatchNorm1d(16), nn.BatchNorm1d(16)]
    for norm in norms:
        for part in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert part is not None
            nn.init.uniform_(part, 0.5, 1.5)
    first, last = nn.Conv1d(4, 16, 8, padding=7), nn.ConvTranspose1d(16, 16, 3)
    return nn.Sequential(nn.Unflatten(1, (4, 1)), first, norms[0], last, norms[1], nn.Flatten())


class MaskedScores(nn.Module):
    """Scores of classes, some of which are ruled out by minus infinity."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.score(x)
        return scores.masked_fill(scores < 0, -float("inf"))


def masked_scores() -> nn.Module:
    return MaskedScores()


def deep(layers: int) -> nn.Module:
    """``float32[batch, 256]`` through so many layers."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(256, 256) for _ in range(layers)))
