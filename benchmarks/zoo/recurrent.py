"""Recurrent and temporal networks, and the recurrences of two state space models by hand."""

from __future__ import annotations

import torch
from torch import nn


class Tagger(nn.Module):
    """Embedding, a recurrent layer, a score for every token."""

    def __init__(self, kind: str, *, both_ways: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(99, 16)
        layer = {"lstm": nn.LSTM, "gru": nn.GRU}[kind]
        self.body = layer(16, 16, num_layers=2, batch_first=True, bidirectional=both_ways)
        self.scores = nn.Linear(32 if both_ways else 16, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of five tags."""
        message, _ = self.body(self.words(tokens))
        scores: torch.Tensor = self.scores(message)
        return scores


class TemporalConvolution(nn.Module):
    """Causal convolutions of growing reach; the surplus at the end is cut off."""

    def __init__(self, channels: int = 8, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv1d(channels, channels, 3, padding=2 * 2**number, dilation=2**number)
            )
            for number in range(layers)
        )

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        """The series, changed."""
        length = series.shape[-1]
        for layer in self.layers:
            series = series + torch.relu(layer(series)[..., :length])
        return series


class TokenShift(nn.Module):
    """RWKV's two mixes in their parallel form: time decays as a weighted sum over the past."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.words = nn.Embedding(99, width)
        self.mix = nn.Parameter(torch.rand(width))
        self.decay = nn.Parameter(torch.rand(width))
        self.key, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.gate, self.scores = nn.Linear(width, width), nn.Linear(width, 99)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the next token."""
        given = self.words(tokens)
        before = nn.functional.pad(given, (0, 0, 1, -1))
        mixed = given * self.mix + before * (1 - self.mix)
        key, value = self.key(mixed).exp(), self.value(mixed)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        ago = (places[:, None] - places[None, :]).clamp(min=0)
        past = (places[:, None] >= places[None, :]).to(given.dtype)
        weights = torch.exp(-self.decay.exp() * ago[..., None]) * past[..., None]
        top = torch.einsum("tsc,bsc->btc", weights, key * value)
        message = top / torch.einsum("tsc,bsc->btc", weights, key)
        scores: torch.Tensor = self.scores(self.gate(mixed).sigmoid() * message)
        return scores
