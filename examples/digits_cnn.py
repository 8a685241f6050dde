"""A small convolutional network for scikit-learn's handwritten digits, trained in seconds.

``python -m examples.digits_cnn`` writes its weights and its test rows below ``artifacts/``. Split,
seeds and number of threads are fixed, so the same machine gives the same bytes again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import cross_entropy

from onnxproof.artifact import atomic_write, sha256_of

WEIGHTS: Final = Path("artifacts/digits.safetensors")
TEST_ROWS: Final = Path("artifacts/digits_test.npz")
EPOCHS: Final = 20
BATCH: Final = 64


class DigitsCnn(nn.Module):
    """``image`` float32 [batch, 1, 8, 8] with values in 0..1, to ten logits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.25)
        self.logits = nn.Linear(2 * width * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits, not probabilities."""
        logits: torch.Tensor = self.logits(self.dropout(self.features(image).flatten(1)))
        return logits


class Rows(NamedTuple):
    """Images and their labels."""

    x: torch.Tensor
    y: torch.Tensor


def build(width: int = 32) -> nn.Module:
    """The network without trained weights; ``source.weights`` brings them."""
    return DigitsCnn(width)


def load_digits() -> tuple[Rows, Rows]:
    """scikit-learn's 1797 images of 8 x 8: 1347 to train on, 450 to test on."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    found = load_digits()
    images = (found.images / 16.0).astype(np.float32)[:, None]  # 17 levels of gray
    parts = train_test_split(
        images, found.target.astype(np.int64), test_size=450, random_state=0, stratify=found.target
    )
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    return Rows(train_x, train_y), Rows(test_x, test_y)


def train(rows: Rows) -> nn.Module:
    """The trained network, in eval mode."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the order of a sum over threads is not fixed
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for picked in torch.randperm(len(rows.y)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(model(rows.x[picked]), rows.y[picked]).backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def top1(model: nn.Module, rows: Rows) -> float:
    """Share of rows whose greatest logit is that of their label."""
    with torch.no_grad():
        return float((model(rows.x).argmax(1) == rows.y).float().mean())


def made_before() -> str | None:
    """The top-1 noted by an earlier run of this very code; None when there is none."""
    if not TEST_ROWS.is_file():
        return None
    try:
        with safe_open(WEIGHTS, "pt") as file:
            noted = file.metadata() or {}
    except (OSError, SafetensorError):
        return None
    return noted.get("top1") if noted.get("code") == sha256_of(Path(__file__)) else None


def main() -> None:
    """Write weights and test rows, unless they are there."""
    score = made_before()
    if score is not None:
        print(f"{WEIGHTS} is there; top-1 on the 450 test images: {score}")
        return
    train_rows, test_rows = load_digits()
    model = train(train_rows)
    score = f"{top1(model, test_rows):.4f}"
    with atomic_write(TEST_ROWS) as draft, draft.open("wb") as file:
        np.savez(file, x=test_rows.x.numpy(), y=test_rows.y.numpy())
    with atomic_write(WEIGHTS) as draft:
        noted = {"code": sha256_of(Path(__file__)), "top1": score}
        save_file(model.state_dict(), draft, metadata=noted)
    print(f"{WEIGHTS} written; top-1 on the 450 test images: {score}")


if __name__ == "__main__":
    main()
