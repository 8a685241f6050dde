"""Modules that are at fault themselves, before any exporter sees them."""

from __future__ import annotations

import os
import time

import torch
from torch import nn

from benchmarks.faultlist.models import digits


class Rows(nn.Module):
    """``float32[batch, 4]`` to ``float32[batch, 3]``; others go wrong around it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One layer."""
        result: torch.Tensor = self.layer(x)
        return result


class Drops(Rows):
    """Dropout that eval mode does not turn off."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Another answer on every call."""
        return super().forward(nn.functional.dropout(x, 0.5, training=True))


class Nan(Rows):
    """Nothing over nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """NaN."""
        return super().forward(x) * (x.sum() * 0 / 0)


class Branches(Rows):
    """A branch on values, of which tracing sees one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sign depends on the input."""
        return super().forward(x) * (1 if x.sum() > 0 else -1)


class Counts(Rows):
    """A loop over rows, which tracing counts once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Divided by the number of rows."""
        return super().forward(x) / float(len(x.tolist()))


class Steps(nn.Module):
    """A number of steps, which tracing takes from its example."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows()

    def forward(self, x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """Doubled so often."""
        for _ in range(int(steps)):
            x = x * 2
        result: torch.Tensor = self.rows(x)
        return result


class Squeezes(Rows):
    """Drops a batch of one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Another rank at batch 1."""
        return super().forward(x).squeeze()


def drops() -> nn.Module:
    """Answers in two ways."""
    return Drops()


def nan() -> nn.Module:
    """Answers with NaN."""
    return Nan()


def branches() -> nn.Module:
    """Is wrong when traced."""
    return Branches()


def counts() -> nn.Module:
    """Likewise."""
    return Counts()


def steps() -> nn.Module:
    """Likewise."""
    return Steps()


def squeezes() -> nn.Module:
    """Has no one rank."""
    return Squeezes()


def unseeded() -> nn.Module:
    """Other weights whenever it is built, whatever the seed."""
    return digits(int.from_bytes(os.urandom(4), "big"))


def hangs() -> nn.Module:
    """Never comes back."""
    time.sleep(600)
    raise AssertionError
