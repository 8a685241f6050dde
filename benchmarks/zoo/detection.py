"""Detection heads: queries over an image, and boxes from a grid."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.zoo.convolutional import conv


class DetrHead(nn.Module):
    """A transformer decoder's queries over an image, and a box and classes for each."""

    def __init__(self, width: int = 32, queries: int = 7, classes: int = 5) -> None:
        super().__init__()
        self.backbone = nn.Sequential(conv(3, 16, stride=4), conv(16, width, stride=4))
        self.encoder = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(width, 4, 64, batch_first=True)
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.classes, self.boxes = nn.Linear(width, classes), nn.Linear(width, 4)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class scores, and boxes in 0..1."""
        memory = self.encoder(self.backbone(image).flatten(2).transpose(1, 2))
        queries = self.queries.unsqueeze(0).expand(image.shape[0], -1, -1)
        found = self.decoder(queries, memory)
        return self.classes(found), self.boxes(found).sigmoid()


class YoloHead(nn.Module):
    """Two scales, boxes decoded over a grid that is made from the image's size."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(3, 8, stride=4), conv(8, 16, stride=2))
        self.coarse = conv(16, 16, stride=2)
        self.heads = nn.ModuleList(nn.Conv2d(16, 5 + classes, 1) for _ in range(2))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Rows of center, size, and scores, for every cell of both scales."""
        fine = self.fine(image)
        rows = []
        for level, (scale, head) in enumerate(
            zip((fine, self.coarse(fine)), self.heads, strict=True)
        ):
            rows.append(self._decode(head(scale), 8 * 2**level))
        return torch.cat(rows, 1)

    def _decode(self, raw: torch.Tensor, stride: int) -> torch.Tensor:
        batch, fields, height, width = raw.shape
        ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack([xs, ys], -1).view(1, height * width, 2).to(raw.dtype)
        cells = raw.view(batch, fields, height * width).transpose(1, 2)
        center = (cells[..., :2].sigmoid() + grid) * stride
        size = cells[..., 2:4].exp() * stride
        return torch.cat([center, size, cells[..., 4:].sigmoid()], -1)


class PyramidHead(nn.Module):
    """A feature pyramid: coarse maps enlarged to the size of the fine ones and added."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [conv(3, 8, stride=2), conv(8, 16, stride=2), conv(16, 32, stride=2)]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(channels, 8, 1) for channels in (8, 16, 32))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Three maps, fine to coarse."""
        maps = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            image = stage(image)
            maps.append(lateral(image))
        for level in (1, 0):
            larger = nn.functional.interpolate(maps[level + 1], size=maps[level].shape[-2:])
            maps[level] = maps[level] + larger
        return maps
