"""Small models that faults are put into, with seeded weights that no layer can do without."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from examples.digits_cnn import DigitsCnn

WORDS = 2000
PEOPLE, ITEMS = 3000, 4000
LONGEST = 48


class Block(nn.Module):
    """Causal attention over unpadded tokens, and an MLP, each behind its norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.up, self.down = (
            nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width),
        )  # fmt: skip

    def forward(self, hidden: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """``hidden`` [batch, seq, width], ``allowed`` bool [batch, 1, seq, seq]."""
        normed = self.norm_1(hidden)
        query, key, value = (
            projection(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-1, -2) * 0.35355339
        weights = scores.masked_fill(~allowed, -1e4).softmax(-1)
        hidden = hidden + self.out((weights @ value).transpose(1, 2).flatten(2))
        result: torch.Tensor = hidden + self.down(functional.gelu(self.up(self.norm_2(hidden))))
        return result


class Text(nn.Module):
    """``input_ids`` and ``attention_mask`` [batch, seq] to spans of a text, as in answering."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(WORDS, width), nn.Embedding(LONGEST, width)
        self.blocks = nn.ModuleList([Block(width, 4) for _ in range(2)])
        self.norm, self.span = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The last hidden state, and two scores of each token."""
        place = torch.arange(input_ids.shape[1])
        hidden = self.words(input_ids) + self.places(place)
        causal = place[None, :] <= place[:, None]
        allowed = causal[None, None] & (attention_mask[:, None, None, :] > 0)
        for block in self.blocks:
            hidden = block(hidden, allowed)
        hidden = self.norm(hidden)
        start, end = self.span(hidden).unbind(-1)
        return {"hidden": hidden, "start": start, "end": end}


class Recurrent(nn.Module):
    """A GRU over ``x`` [batch, seq, 12], and what its last step says."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.head = nn.GRU(12, 24, batch_first=True), nn.Linear(24, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``float32[batch, 3]``."""
        states, _ = self.gru(x)
        result: torch.Tensor = self.head(states[:, -1])
        return result


class Recommender(nn.Module):
    """How well an item suits a person with a history of items, at an age."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.people, self.history = nn.Embedding(PEOPLE, width), nn.EmbeddingBag(ITEMS, width)
        self.ages = nn.Embedding(50, width)
        self.layers = nn.Sequential(nn.Linear(3 * width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, person: torch.Tensor, items: torch.Tensor, age: torch.Tensor) -> torch.Tensor:
        """``person`` [batch], ``items`` [batch, 6], ``age`` int64 [batch] in years."""
        decade = torch.round(age / 2).long()
        parts = (self.people(person), self.history(items), self.ages(decade))
        result: torch.Tensor = self.layers(torch.cat(parts, -1)).squeeze(-1)
        return result


class Half(nn.Module):
    """RMS norm in float32 between linear layers in float16."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.layer = nn.Parameter(torch.ones(64)), nn.Linear(64, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``float16[batch, 64]``, in which squares do not fit."""
        square = x.float().pow(2).mean(-1, keepdim=True)
        normed = (x.float() * torch.rsqrt(square + 1e-5)).half() * self.scale
        result: torch.Tensor = self.layer(normed)
        return result


class Rounds(nn.Module):
    """One layer, applied ``steps`` times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """``float32[batch, 4]`` and ``int64[]``."""
        for _ in range(int(steps)):
            x = torch.tanh(self.layer(x)) + x
        return x


def _settled(module: nn.Module, seed: int) -> nn.Module:
    """Every parameter and buffer of floats drawn anew: ones and zeros would hide faults."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            drawn = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim > 1:
                tensor.copy_(drawn / tensor[0].numel() ** 0.5)
            elif name.endswith(("running_var", "scale")) or ("norm" in name and "weight" in name):
                tensor.copy_(1 + 0.3 * drawn.abs())
            else:
                tensor.copy_(0.3 * drawn)
    return module


def digits(seed: int = 0) -> nn.Module:
    """The example's network, at half of its width."""
    return _settled(DigitsCnn(16), seed)


def text(seed: int = 0) -> nn.Module:
    """Two blocks."""
    return _settled(Text(), seed)


def recurrent(seed: int = 0) -> nn.Module:
    """One layer."""
    return _settled(Recurrent(), seed)


def recommender(seed: int = 0) -> nn.Module:
    """Three tables."""
    return _settled(Recommender(), seed)


def half(seed: int = 0) -> nn.Module:
    """In float16, all of it."""
    return _settled(Half(), seed).half()


def rounds(seed: int = 0) -> nn.Module:
    """A loop whose count is an input."""
    return _settled(Rounds(), seed)
