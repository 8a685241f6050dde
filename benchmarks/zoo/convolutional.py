"""Small convolutional networks, after their papers: the parts that exporters meet."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv(given: int, made: int, size: int = 3, *, stride: int = 1, groups: int = 1) -> nn.Module:
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(given, made, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(),
    )


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole image says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(channels, channels // 4, 1)
        self.up = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The image, weighted."""
        pooled = functional.adaptive_avg_pool2d(image, 1)
        return image * functional.hardsigmoid(self.up(functional.relu(self.down(pooled))))


class Residual(nn.Module):
    """ResNet's block."""

    def __init__(self, given: int, made: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(given, made, stride=stride),
            nn.Conv2d(made, made, 3, padding=1, bias=False),
            nn.BatchNorm2d(made),
        )
        same = stride == 1 and given == made
        self.skip = nn.Identity() if same else nn.Conv2d(given, made, 1, stride)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The image after the block."""
        return functional.relu(self.body(image) + self.skip(image))


class InvertedResidual(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze-excite, project."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, wide, 5, padding=2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            SqueezeExcite(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The image after the block."""
        changed: torch.Tensor = image + self.body(image)
        return changed


class DenseBlock(nn.Module):
    """DenseNet's block: each layer sees all before it."""

    def __init__(self, given: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(given + number * growth),
                nn.ReLU(),
                nn.Conv2d(given + number * growth, growth, 3, padding=1, bias=False),
            )
            for number in range(layers)
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """All features, side by side."""
        features = [image]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class InceptionBlock(nn.Module):
    """Four branches over the same image."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.one = conv(given, 8, 1)
        self.three = nn.Sequential(conv(given, 4, 1), conv(4, 8))
        self.five = nn.Sequential(conv(given, 4, 1), conv(4, 8, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(given, 8, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The branches, side by side."""
        branches = (self.one(image), self.three(image), self.five(image), self.pool(image))
        return torch.cat(branches, 1)


class RegNetBlock(nn.Module):
    """A grouped bottleneck with squeeze-excite."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels, 1),
            conv(channels, channels, groups=4),
            SqueezeExcite(channels),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """The image after the block."""
        return functional.relu(image + self.body(image))


class UNet(nn.Module):
    """Two levels down, two up, with skips; the sides come from the skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.bottom = conv(3, 8), conv(8, 16), conv(16, 32)
        self.up_second = nn.ConvTranspose2d(32, 16, 2, 2)
        self.up_first = nn.Conv2d(16, 8, 1)
        self.merge_second, self.merge_first = conv(32, 16), conv(16, 8)
        self.classes = nn.Conv2d(8, 4, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Scores of four classes for each pixel."""
        first = self.first(image)
        second = self.second(functional.max_pool2d(first, 2))
        bottom = self.bottom(functional.max_pool2d(second, 2))
        up = self.merge_second(torch.cat([self.up_second(bottom), second], 1))
        up = functional.interpolate(
            self.up_first(up), size=first.shape[-2:], mode="bilinear", align_corners=False
        )
        scores: torch.Tensor = self.classes(self.merge_first(torch.cat([up, first], 1)))
        return scores


def _classifier(channels: int, *body: nn.Module) -> nn.Module:
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    return nn.Sequential(*body, *head)


def resnet() -> nn.Module:
    """Three residual blocks after a stem with max pooling."""
    stem = (conv(3, 8, 7, stride=2), nn.MaxPool2d(3, 2, 1))
    return _classifier(32, *stem, Residual(8, 8), Residual(8, 16, 2), Residual(16, 32, 2))


def mobilenet_v3() -> nn.Module:
    """Two inverted residuals."""
    return _classifier(8, conv(3, 8, stride=2), InvertedResidual(8), InvertedResidual(8))


def densenet() -> nn.Module:
    """Two dense blocks with a transition."""
    transition = (nn.Conv2d(20, 8, 1), nn.AvgPool2d(2))
    return _classifier(20, conv(3, 8), DenseBlock(8, 4, 3), *transition, DenseBlock(8, 4, 3))


def inception() -> nn.Module:
    """Two blocks of branches."""
    return _classifier(32, conv(3, 8, stride=2), InceptionBlock(8), InceptionBlock(32))


def regnet() -> nn.Module:
    """Two grouped bottlenecks."""
    return _classifier(16, conv(3, 16, stride=2), RegNetBlock(16), RegNetBlock(16))
