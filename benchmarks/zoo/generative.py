"""Models that make things, and a few that recommend or join: small, after their papers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class VariationalAutoencoder(nn.Module):
    """Mean, variance and reconstruction; the noise is an input, so nothing is left to chance."""

    def __init__(self, latent: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 4, 2, 1), nn.SiLU(), nn.Conv2d(8, 2 * latent, 4, 2, 1)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent, 8, 4, 2, 1), nn.SiLU(), nn.ConvTranspose2d(8, 3, 4, 2, 1)
        )

    def forward(
        self, image: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruction, mean, logarithm of the variance."""
        mean, log_variance = self.encoder(image).chunk(2, 1)
        sample = mean + noise * torch.exp(0.5 * log_variance)
        return self.decoder(sample), mean, log_variance


class DiffusionBlock(nn.Module):
    """A diffusion U-Net's block: time embedding, group norm, self- and cross-attention."""

    def __init__(self, channels: int = 16, context: int = 12) -> None:
        super().__init__()
        self.channels = channels
        self.given = nn.Conv2d(4, channels, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(channels, channels), nn.SiLU())
        self.norm, self.body = (
            nn.GroupNorm(4, channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.down = nn.Conv2d(channels, channels, 3, 2, 1)
        self.own = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.cross = nn.MultiheadAttention(
            channels, 2, kdim=context, vdim=context, batch_first=True
        )
        self.made = nn.Conv2d(2 * channels, 4, 3, padding=1)

    def forward(
        self, latent: torch.Tensor, step: torch.Tensor, context: torch.Tensor
    ) -> torch.Tensor:
        """The noise that it sees in the latent image."""
        half = self.channels // 2
        frequencies = torch.exp(-torch.arange(half) * 0.5)
        angles = step.float()[:, None] * frequencies[None]
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        first = self.given(latent)
        image = first + self.body(functional.silu(self.norm(first))) + time[:, :, None, None]
        image = self.down(image)
        batch, channels, height, width = image.shape
        tokens = image.flatten(2).transpose(1, 2)
        tokens = tokens + self.own(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens + self.cross(tokens, context, context, need_weights=False)[0]
        image = tokens.transpose(1, 2).reshape(batch, channels, height, width)
        image = functional.interpolate(image, scale_factor=2.0, mode="nearest")
        noise: torch.Tensor = self.made(torch.cat([image, first], 1))
        return noise


class NeuralCollaborativeFilter(nn.Module):
    """Users, items and a bag of genres; a multilayer perceptron beside a product."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(50, width), nn.Embedding(70, width)
        self.genres = nn.EmbeddingBag(20, width, mode="mean")
        self.body = nn.Sequential(nn.Linear(3 * width, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.score = nn.Linear(8 + width, 1)

    def forward(self, user: torch.Tensor, item: torch.Tensor, genres: torch.Tensor) -> torch.Tensor:
        """A probability for each pair."""
        users, items = self.user(user), self.item(item)
        deep = self.body(torch.cat([users, items, self.genres(genres)], -1))
        score: torch.Tensor = self.score(torch.cat([deep, users * items], -1))
        return score.sigmoid().squeeze(-1)


class VisionLanguage(nn.Module):
    """Patches of an image and tokens of a text, one causal sequence, scores for the text."""

    def __init__(self, width: int = 32, vocabulary: int = 99) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.project = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(64, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True, norm_first=True)
        self.scores = nn.Linear(width, vocabulary)

    def forward(self, pixels: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the next token, for the text's places."""
        seen = self.project(self.patches(pixels).flatten(2).transpose(1, 2))
        both = torch.cat([seen, self.words(tokens)], 1)
        length = both.shape[1]
        both = both + self.places(torch.arange(length, device=both.device))
        mask = torch.full((length, length), float("-inf")).triu(1)
        message = self.layer(both, src_mask=mask)
        scores: torch.Tensor = self.scores(message[:, seen.shape[1] :])
        return scores


class WaveNet(nn.Module):
    """Dilated causal convolutions with gates and skips."""

    def __init__(self, channels: int = 8, layers: int = 4) -> None:
        super().__init__()
        self.given = nn.Conv1d(1, channels, 1)
        self.gates = nn.ModuleList(
            nn.Conv1d(channels, 2 * channels, 2, dilation=2**number) for number in range(layers)
        )
        self.skips = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(layers))
        self.made = nn.Conv1d(channels, 16, 1)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Scores of 16 levels for the next sample, at every place."""
        sound = self.given(samples)
        total = torch.zeros_like(sound)
        for number, (gates, skip) in enumerate(zip(self.gates, self.skips, strict=True)):
            padded = functional.pad(sound, (2**number, 0))
            value, gate = gates(padded).chunk(2, 1)
            message = skip(value.tanh() * gate.sigmoid())
            sound, total = sound + message, total + message
        scores: torch.Tensor = self.made(functional.relu(total))
        return scores
