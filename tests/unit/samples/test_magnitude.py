from __future__ import annotations

import numpy as np
import pytest

from onnxproof.samples.magnitude import (
    MOST_FILLS,
    ZERO,
    class_numbers,
    class_statistics,
    fills_of,
    low_of,
)

LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_class_holds_a_factor_of_1024_and_zeros_are_apart(dtype: str) -> None:
    values = np.array([1, -1, 1023, 1024, 2**-10, 2**-10.5, 0, -0.0], dtype)
    assert class_numbers(values).tolist() == [0, 0, 0, 1, -1, -2, ZERO, ZERO]
    assert [low_of(number) for number in (ZERO, -1, 0, 1)] == [0, 2**-10, 1, 1024]


def test_the_smallest_and_the_largest_numbers_have_a_class() -> None:
    values = np.array([5e-324, np.finfo(np.float64).max])
    low, high = (low_of(int(number)) for number in class_numbers(values))
    assert low <= values[0]
    assert high <= values[1] < float("inf")


@pytest.mark.parametrize("fill", [-1e9, 1e4, LOWEST])
def test_one_value_at_many_places_far_above_the_rest_is_a_fill(fill: float) -> None:
    logits = np.random.default_rng(0).normal(size=40).astype(np.float32)
    parts = [np.where(np.arange(10) < 3, np.float32(fill), part) for part in logits.reshape(4, 10)]
    assert fills_of(parts) == (float(np.float32(fill)),)


@pytest.mark.parametrize(
    "values",
    [
        [-1e9] * 20,
        [-1e9] * 3 + [1.0] * 20,
        [*(-1e9 + 64.0 * np.arange(20)), *[1.0] * 20],
        [50.0] * 20 + [1.0] * 20,
        [],
    ],
    ids=["nothing else", "at few places", "computed", "near the rest", "nothing"],
)
def test_what_is_no_fill(values: list[float]) -> None:
    assert fills_of([np.array(values, np.float32)]) == ()


def test_several_fills_are_found_however_large() -> None:
    values = [LOWEST] * 9 + [-1e9] * 9 + [-2e9] * 9 + [0.5, 0.25]
    assert set(fills_of([np.array(values, np.float32)])) == {LOWEST, -1e9, -2e9}


def test_more_large_values_than_anybody_fills_in_are_numbers() -> None:
    large = np.repeat(1e6 + np.arange(MOST_FILLS + 1.0), 9)
    assert fills_of([np.array([*large, 1.0], np.float64)]) == ()


def test_statistics_are_of_all_samples_without_fills_and_what_is_not_finite() -> None:
    arrays = [np.array([3.0, np.nan, 0.0, -1e9]), np.array([-4.0, np.inf, 2e300])]
    found = class_statistics(arrays, [-1e9])
    assert {number: row.elements for number, row in found.items()} == {ZERO: 1, 0: 2, 99: 1}
    assert found[0].rms == pytest.approx(12.5**0.5)
    assert found[99].rms == pytest.approx(2e300)
