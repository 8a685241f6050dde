"""Loops and branches on their way to ONNX: the classic lesson, and what PyTorch 2.13 makes of it.

A convolution is applied several times; docs/control-flow.md tells what becomes of each of these.
"""

from __future__ import annotations

import torch
from torch import nn

CHANNELS = 2


class Rounds(nn.Module):
    """The count is a constant of the module: every strategy unrolls the loop."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``float32[batch, 2, height, width]`` to the same."""
        for _ in range(self.count):
            image = torch.tanh(self.conv(image))
        return image


class CountedRounds(nn.Module):
    """The count is an input: only scripting keeps this loop, as an ONNX ``Loop``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, image: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """``count`` is an ``int64`` scalar."""
        for _ in range(int(count)):
            image = torch.tanh(self.conv(image))
        return image


class NumberedRounds(CountedRounds):
    """The count is a Python number: ``torch.export`` bakes it in, scripting keeps it."""

    def forward(self, image: torch.Tensor, count: int) -> torch.Tensor:  # type: ignore[override]
        """``count`` is a Python int."""
        for _ in range(count):
            image = torch.tanh(self.conv(image))
        return image


class WhileRounds(CountedRounds):
    """The same written as ``torch.while_loop``: ``torch.export`` keeps it too."""

    def forward(self, image: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """``count`` is an ``int64`` scalar."""

        def more(done: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return done < count

        def step(done: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return done + 1, torch.tanh(self.conv(state))

        result: torch.Tensor = torch.while_loop(more, step, (torch.zeros_like(count), image))[1]
        return result


@torch.jit.script
def repeat_tanh(image: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """The loop alone, scripted: tracing keeps it as it is."""
    for _ in range(int(count)):
        image = torch.tanh(image)
    return image


class PartlyScripted(CountedRounds):
    """A scripted function in a module that is traced."""

    def forward(self, image: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
        """``count`` is an ``int64`` scalar."""
        result: torch.Tensor = repeat_tanh(self.conv(image), count)
        return result


class Branch(nn.Module):
    """Python's ``if`` over data: only scripting keeps it, as an ONNX ``If``."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Brighter images are halved, the others doubled."""
        if image.mean() > 0:
            return image * 0.5
        return image * 2.0


class CondBranch(nn.Module):
    """The same written as ``torch.cond``: ``torch.export`` keeps it too."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Brighter images are halved, the others doubled."""

        def halved(image: torch.Tensor) -> torch.Tensor:
            return image * 0.5

        def doubled(image: torch.Tensor) -> torch.Tensor:
            return image * 2.0

        result: torch.Tensor = torch.cond(image.mean() > 0, halved, doubled, (image,))
        return result


def rounds(count: int = 3) -> nn.Module:
    """A loop with a constant count."""
    return Rounds(count)


def counted_rounds() -> nn.Module:
    """A loop whose count is a tensor."""
    return CountedRounds()


def numbered_rounds() -> nn.Module:
    """A loop whose count is a Python number."""
    return NumberedRounds()


def while_rounds() -> nn.Module:
    """The loop for ``torch.export``."""
    return WhileRounds()


def partly_scripted() -> nn.Module:
    """The loop for tracing."""
    return PartlyScripted()


def branch() -> nn.Module:
    """A branch over data."""
    return Branch()


def cond_branch() -> nn.Module:
    """The branch for ``torch.export``."""
    return CondBranch()
