from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from onnxproof.reference.reduced_precision import measure_rounding, rounded_products, to_tf32
from onnxproof.runtime import Precision
from tests.helpers.specs import Does, source_of, work_in, write_reference

ONE_AND_A_BIT = 1 + 2**-11 + 2**-13
"""Between two TF32 numbers, 1 and 1 + 2**-10, and nearer to the second."""


def test_tf32_keeps_ten_bits_and_rounds_to_the_nearest() -> None:
    given = torch.tensor([1.0, ONE_AND_A_BIT, -ONE_AND_A_BIT, 1 + 2**-11, 1 + 3 * 2**-11])
    wanted = [1.0, 1 + 2**-10, -1 - 2**-10, 1.0, 1 + 2**-9]  # a tie goes to the even one
    assert to_tf32(given).tolist() == wanted


def test_tf32_leaves_what_is_not_finite() -> None:
    given = torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0])
    assert torch.equal(to_tf32(given).nan_to_num(7.0), given.nan_to_num(7.0))


@pytest.mark.parametrize(
    "product",
    [
        torch.matmul,
        nn.functional.linear,
        lambda x, w: torch.einsum("ij,kj->ik", x, w),
        lambda x, w: nn.functional.conv1d(x[None], w[:, :, None]),
        lambda x, w: nn.functional.scaled_dot_product_attention(w[None], w[None], x[None]),
    ],
    ids=["matmul", "linear", "einsum", "conv", "attention"],
)
def test_products_round_what_they_multiply(product: Callable[..., torch.Tensor]) -> None:
    x, w = torch.full((4, 4), ONE_AND_A_BIT), torch.ones(4, 4)
    with torch.no_grad():
        with rounded_products("tf32"):
            rounded = product(x, w)
        assert torch.equal(rounded, product(to_tf32(x), w))
        assert not torch.equal(rounded, product(x, w))


def test_what_multiplies_nothing_is_not_rounded() -> None:
    x = torch.full((3,), ONE_AND_A_BIT)
    with rounded_products("bfloat16"):
        assert torch.equal(x + x, 2 * x)


@pytest.mark.parametrize(
    ("precision", "epsilon"), [("tf32", 2**-11), ("float16", 2**-11), ("bfloat16", 2**-8)]
)
def test_the_rounding_of_a_model_is_about_the_epsilon_of_the_precision(
    tmp_path: Path, precision: Precision, epsilon: float
) -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 64, bias=False)
    reference = write_reference(tmp_path, module)
    source, work = source_of(module), work_in(tmp_path, tmp_path)
    (found,) = measure_rounding(source, work, reference, [precision], 5)
    assert (found.name, found.precision) == (reference.outputs[0].name, precision)
    assert 0.05 * epsilon < found.max_abs < 8 * epsilon
    assert found.sets == len([grid_point for grid_point in reference.points if grid_point.sets])


def test_a_model_that_does_not_run_with_rounded_products_has_no_rounding(tmp_path: Path) -> None:
    calls: list[int] = []

    def once(x: torch.Tensor) -> torch.Tensor:
        if len(calls) > 100:
            raise RuntimeError("no")
        return x * 2

    module = Does(once)
    reference = write_reference(tmp_path, module)
    calls += [0] * 101
    source, work = source_of(module), work_in(tmp_path, tmp_path)
    assert measure_rounding(source, work, reference, ["tf32"], 5) == ()


def test_the_module_and_its_weights_stay_as_they_are(tmp_path: Path) -> None:
    module = nn.Linear(4, 3)
    before = module.weight.detach().clone()
    reference = write_reference(tmp_path, module)
    measure_rounding(source_of(module), work_in(tmp_path, tmp_path), reference, ["bfloat16"], 5)
    assert np.array_equal(before.numpy(), module.weight.detach().numpy())
