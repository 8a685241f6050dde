from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onnxproof.records import Reference, Work
from onnxproof.reference.noise_floor import MAX_WEIGHTS_BYTES, Floor, measure_noise
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.samples.sample_files import read_set
from tests.helpers.specs import Does, source_of, work_in

DIMS = {"inputs": {"x": "float32[batch, 4]"}, "dims": {"batch": {"max": 6}}}


class Sum(nn.Module):
    """A long sum of numbers of very different sizes: float32 loses some of each."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 1e4 + 1 / 3).cumsum(0) / 7


class Masked(nn.Module):
    """Scores of which a mask of the lowest number takes some away."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(x + mask, -1)


def measured(
    folder: Path, module: nn.Module, weights_bytes: int = 0, **sections: Any
) -> tuple[Floor, Reference, Work]:
    work = work_in(folder, folder)
    source = source_of(module.eval(), **{**DIMS, **sections})
    reference = ReferenceWriter(source, work).write()
    return measure_noise(source, work, reference, weights_bytes, 60), reference, work


def test_the_noise_is_what_float64_says_of_the_saved_samples(tmp_path: Path) -> None:
    floor, reference, work = measured(tmp_path, Sum())
    away = []
    for point in reference.points:
        feed, outputs = read_set(Path(work.path(point.sets[0])))
        exact = (feed["x"].astype(np.float64) * 1e4 + 1 / 3).cumsum(0) / 7
        away.append(np.abs(outputs["output"] - exact).max())
    (noise,) = floor.noise
    assert (noise.name, noise.sets) == ("output", len(reference.points))
    assert noise.max_abs == pytest.approx(max(away))
    assert noise.max_abs > 0


def test_parameters_are_taken_to_float64_too(tmp_path: Path) -> None:
    linear = nn.Linear(4, 3)
    weights = linear.weight.detach().numpy().copy()
    floor, _, _ = measured(tmp_path, linear)
    assert linear.weight.dtype == torch.float64
    assert np.array_equal(linear.weight.detach().numpy().astype(np.float32), weights)
    assert 0 < floor.noise[0].max_abs < 1e-5
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("forward", "missing"),
    [
        (lambda x: x.argmax(1), "no output of float32 or float16"),
        (lambda x: x.double(), "no output of float32 or float16"),
        (lambda x: (x * 2).float(), "forward computes in a dtype of its own"),
        (
            lambda x: x @ torch.ones(4, 2, dtype=torch.float32),
            "the module does not run in float64: forward raised at batch=1",
        ),
    ],
    ids=["integers", "float64 already", "a fixed dtype", "dtypes that do not go together"],
)
def test_where_there_is_no_noise_to_measure_it_is_said_why(
    tmp_path: Path, forward: Callable[[torch.Tensor], torch.Tensor], missing: str
) -> None:
    floor, _, _ = measured(tmp_path, Does(forward))
    assert floor.noise == ()
    assert floor.missing.startswith(missing)


def test_a_large_model_is_not_taken_to_float64(tmp_path: Path) -> None:
    linear = nn.Linear(4, 3)
    floor, _, _ = measured(tmp_path, linear, weights_bytes=MAX_WEIGHTS_BYTES + 1)
    assert floor.missing == "the weights are larger than 1024 MiB"
    assert linear.weight.dtype == torch.float32


def test_a_mask_of_the_lowest_number_stays_one(tmp_path: Path) -> None:
    inputs = {"x": "float32[batch, 4]", "mask": "float32[batch, 4] additive_mask"}
    floor, _, _ = measured(tmp_path, Masked(), inputs=inputs)
    assert 0 < floor.noise[0].max_abs < 1e-6


def test_allowed_infinities_are_no_noise(tmp_path: Path) -> None:
    module = Does(lambda x: torch.where(x > 0, x / 3, -float("inf")))
    floor, _, _ = measured(tmp_path, module, outputs={"y": {"nonfinite": "allow"}})
    assert 0 < floor.noise[0].max_abs < 1e-6


def test_a_budget_of_seconds_ends_it_after_the_first_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxproof.reference.noise_floor.LEAST_SECONDS", 0)
    monkeypatch.setattr("onnxproof.reference.noise_floor.SHARE_OF_REFERENCE", 0)
    floor, _, _ = measured(tmp_path, nn.Linear(4, 3))
    assert floor.noise[0].sets == 1
