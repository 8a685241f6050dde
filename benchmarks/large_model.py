"""Stacked transformer blocks of any size, with seeded weights; what ``benchmarks.large`` proves."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    """Attention and a feed-forward part, as in a GPT."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``float32[batch, seq, width]`` to the same."""
        h = self.norm_1(x)
        scores = self.query(h) @ self.key(h).transpose(-1, -2) / h.shape[-1] ** 0.5
        x = x + self.out(scores.softmax(-1) @ self.value(h))
        result: torch.Tensor = x + self.down(nn.functional.gelu(self.up(self.norm_2(x))))
        return result


class Large(nn.Module):
    """Embedding, blocks, and a head that shares the embedding's weight."""

    def __init__(self, blocks: int, width: int, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        # Its own weight would be there for a moment, beside the one that it shares.
        self.head = nn.Linear(width, vocabulary, bias=False, device="meta")
        self.head.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of every position."""
        result: torch.Tensor = self.head(self.blocks(self.embed(tokens)))
        return result


def build(blocks: int, width: int, vocabulary: int) -> nn.Module:
    """The factory that the spec names."""
    return Large(blocks, width, vocabulary)
