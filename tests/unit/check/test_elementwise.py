from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.check.budget import Budget, budget_for, one_class
from onnxproof.check.elementwise import Comparison
from onnxproof.records import OutputParity
from tests.helpers.graphs import class_of
from tests.helpers.specs import spec_of

NAN, INF = float("nan"), float("inf")


def parity(
    expected: Any, actual: Any, atol: float = 0, rtol: float = 0, *, allow: bool = False
) -> OutputParity:
    expected, actual = np.asarray(expected), np.asarray(actual)
    basis = "spec" if expected.dtype.kind == "f" else "exact"
    budget = one_class(atol, rtol, basis, allow_nonfinite=allow)  # type: ignore[arg-type]
    return compared(budget, (expected, actual))


def compared(budget: Budget, *samples: tuple[Any, Any]) -> OutputParity:
    """Of the samples ``test_data_set_3`` and those that follow."""
    comparison = Comparison("y", budget)
    for number, (expected, actual) in enumerate(samples, 3):
        comparison.add(np.asarray(expected), np.asarray(actual), f"test_data_set_{number}")
    return comparison.result()


def test_equal_arrays_do_not_differ() -> None:
    row = parity([1.0, 2.0], [1.0, 2.0])
    assert (row.mismatched, row.elements, row.max_abs_diff, row.max_rel_diff) == (0, 2, 0, 0)


def test_one_wrong_element_is_found_with_its_set_and_index() -> None:
    expected = np.zeros((2, 3, 4), np.float32)
    actual = expected.copy()
    actual[1, 2, 0] = -0.5
    row = parity(expected, actual, atol=0.1)
    assert (row.mismatched, row.max_abs_diff) == (1, 0.5)
    assert (row.worst_set, row.worst_index) == ("test_data_set_3", (1, 2, 0))


@pytest.mark.parametrize(
    ("difference", "mismatched"), [(0.0, 0), (1.5, 0), (-1.5, 0), (1.75, 1), (-1.75, 1)]
)
def test_an_element_passes_up_to_atol_and_rtol_times_pytorch(
    difference: float, mismatched: int
) -> None:
    row = parity([2.0], [2.0 + difference], atol=0.5, rtol=0.5)
    assert row.mismatched == mismatched


@pytest.mark.parametrize("tolerance", [0.0, 1e30, float("inf")])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("side", ["onnx", "pytorch", "both"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nan_and_infinity_never_pass(side: str, bad: float, tolerance: float, dtype: str) -> None:
    expected, actual = np.array([1, 1], dtype), np.array([1, 1], dtype)
    if side != "onnx":
        expected[1] = bad
    if side != "pytorch":
        actual[1] = bad
    row = parity(expected, actual, atol=tolerance, rtol=tolerance)
    assert row.mismatched == 1
    assert row.max_abs_diff == row.max_rel_diff == float("inf")
    assert row.worst_index == (1,)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_integers_must_be_equal(dtype: str) -> None:
    expected, actual = np.array([100, 1], dtype), np.array([101, 1], dtype)
    row = parity(expected, actual, atol=5, rtol=5)
    assert (row.mismatched, row.max_abs_diff, row.worst_index) == (1, 1, (0,))


def test_integers_that_float64_cannot_tell_apart_are_reported_apart() -> None:
    row = parity(np.array([2**53]), np.array([2**53 + 1]))
    assert row.mismatched == 1


def test_booleans_must_be_equal() -> None:
    row = parity([True, False, True], [True, True, True], atol=5)
    assert (row.mismatched, row.max_abs_diff) == (1, 1)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(("actual", "mismatched"), [(1, 0), (0, 1)])
def test_a_0_dim_output_is_compared(dtype: str, actual: int, mismatched: int) -> None:
    row = parity(np.array(1, dtype), np.array(actual, dtype), atol=0.1)
    assert (row.mismatched, row.elements, row.worst_index) == (mismatched, 1, ())


def test_a_0_dim_nan_does_not_pass() -> None:
    assert parity(np.array(1.0), np.array(float("nan")), atol=1).mismatched == 1


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_an_empty_output_has_nothing_that_differs(dtype: str) -> None:
    row = parity(np.zeros((0, 4), dtype), np.zeros((0, 4), dtype))
    assert (row.mismatched, row.elements, row.max_abs_diff, row.worst_index) == (0, 0, 0, ())


@pytest.mark.parametrize(
    ("expected", "actual", "relative"),
    [([4.0, -8.0], [4.0, -6.0], 0.25), ([0.0], [1.0], float("inf")), ([0.0], [0.0], 0)],
)
def test_the_relative_difference_is_a_share_of_the_largest_magnitude(
    expected: Any, actual: Any, relative: float
) -> None:
    assert parity(expected, actual).max_rel_diff == relative


def test_float16_differences_do_not_overflow() -> None:
    row = parity(np.array([-60000], np.float16), np.array([60000], np.float16))
    assert row.max_abs_diff == pytest.approx(120000, rel=1e-3)


def test_samples_add_up_and_the_worst_stays() -> None:
    near, far = ([1.0, 2.0], [1.5, 2.0]), ([1.0, 2.0], [1.0, 7.0])
    for samples, worst in (((near, far), 4), ((far, near), 3)):
        row = compared(one_class(1.0, 0.0, "spec"), *samples)
        assert (row.samples, row.mismatched, row.elements) == (2, 1, 4)
        assert (row.max_abs_diff, row.worst_diff, row.budget_used) == (5, 5, 5)
        assert (row.worst_set, row.worst_index) == (f"test_data_set_{worst}", (1,))


def test_a_nan_in_any_sample_stays() -> None:
    samples = [([1.0], [actual]) for actual in (1.0, NAN, 1.0)]
    row = compared(one_class(1.0, 0.0, "spec"), *samples)
    assert (row.mismatched, row.max_abs_diff) == (1, INF)


def test_an_integer_output_is_held_to_a_tolerance_of_its_own() -> None:
    spec = spec_of(outputs={"y": {"tolerance": {"atol": 1, "rtol": 0}}})
    budget = budget_for(spec, "y", [np.array([3, 200], np.uint8)], None)
    row = compared(budget, ([3, 200, 7], [4, 198, 7]))
    assert (row.basis, row.mismatched, row.max_abs_diff, row.budget_used) == ("spec", 1, 2, 2)


def test_allowed_nan_and_infinity_pass_where_pytorch_gives_the_same() -> None:
    row = parity([1.0, NAN, INF, -INF], [1.5, NAN, INF, -INF], atol=1, allow=True)
    assert (row.mismatched, row.max_abs_diff, row.allow_nonfinite) == (0, 0.5, True)
    assert row.max_rel_diff == 0.5


@pytest.mark.parametrize(
    ("expected", "actual"),
    [(NAN, INF), (INF, -INF), (1.0, NAN), (1.0, INF), (NAN, 1.0), (-INF, -3e38)],
)
def test_allowed_or_not_another_value_at_a_place_does_not_pass(
    expected: float, actual: float
) -> None:
    row = parity([0.0, expected], [0.0, actual], atol=1e30, rtol=1e30, allow=True)
    assert (row.mismatched, row.worst_index) == (1, (1,))


@pytest.mark.parametrize(("difference", "used"), [(0.0, 0.0), (0.25, 0.5), (1.0, 2.0)])
def test_the_smallest_budget_that_would_pass_is_reported_as_a_share(
    difference: float, used: float
) -> None:
    assert parity([0.0, 4.0], [difference, 4.0], atol=0.5, rtol=0.1).budget_used == used


def test_a_difference_without_any_budget_would_pass_none() -> None:
    assert parity([1], [2]).budget_used == INF
    assert parity([1], [1]).budget_used == 0


def test_ulps_are_counted_where_the_output_is_not_near_zero() -> None:
    expected = np.array([1.0, 1e-6, 0.5], np.float32)
    actual = expected + np.array([3 * 2**-23, 1e-7, 2**-24], np.float32)
    assert parity(expected, actual, atol=1).max_ulp == pytest.approx(3)


def test_cosine_and_sqnr_are_of_the_class_that_does_worst() -> None:
    budget = Budget((class_of(0.0, 64, 1, 1), class_of(1024, 64, 5e3, 1)), 0.0, "noise")
    small, large = np.ones(64), np.full(64, 5e3)
    row = compared(budget, ([*small, *large], [*-small, *large]))
    assert row.cosine == pytest.approx(-1)
    assert row.sqnr_db == pytest.approx(10 * np.log10(1 / 4))
    assert [found.rms_diff for found in row.classes] == [2, 0]
    assert parity([3.0, 4.0], [3.0, 4.0]).sqnr_db is None


def test_a_few_small_elements_say_nothing_of_the_direction() -> None:
    budget = Budget((class_of(0.0, 1, 1e-7, 1), class_of(1, 2, 3.5, 1)), 0.0, "noise")
    row = compared(budget, ([1e-7, 3.0, 4.0], [-1e-7, 3.0, 4.5]))
    assert row.cosine == pytest.approx((9 + 18) / (5 * np.hypot(3, 4.5)))


def test_rows_with_another_best_class_are_counted() -> None:
    expected = np.array([[1, 2, 3], [3, 2, 1], [0, 5, 4]], np.float32)
    actual = np.array([[1, 2, 3], [3, 2, 1], [0, 4, 5]], np.float32)
    row = compared(one_class(2, 0, "spec"), (expected, actual), (expected, expected))
    assert (row.rows, row.same_top1) == (6, 5)


def test_the_best_class_is_looked_for_beside_fills() -> None:
    budget = Budget((class_of(0.0, 4, 3, 9),), 0.0, "noise", fills=((1e9, 1.0),))
    row = compared(budget, ([[1e9, 2, 3], [1e9, 5, 4]], [[1e9, 3, 2], [1e9, 5, 4]]))
    assert (row.rows, row.same_top1) == (2, 1)


@pytest.mark.parametrize(("actual", "mismatched"), [(-1e9, 0), (-1e9 + 64, 0), (-0.99e9, 1)])
def test_a_fill_is_equal_up_to_rounding_and_belongs_to_no_class(
    actual: float, mismatched: int
) -> None:
    budget = Budget((class_of(0.0, 1, 1, 1e-6),), 0.0, "noise", fills=((-1e9, 100.0),))
    row = compared(budget, ([1.0, -1e9], [1.0, actual]))
    assert (row.mismatched, row.fills[0].mismatched) == (mismatched, mismatched)
    assert (row.fills[0].elements, row.classes[0].mismatched) == (1, 0)


def test_elements_of_each_class_have_the_tolerance_of_that_class() -> None:
    budget = Budget((class_of(0.5, 1, 1, 1e-3), class_of(1024, 1, 5e3, 1)), 0.0, "noise")
    row = compared(budget, ([0.25, 1.0, 5e3], [0.2505, 1.5, 5000.5]))
    assert (row.mismatched, row.worst_index, row.atol) == (1, (1,), 1e-3)
    assert [found.mismatched for found in row.classes] == [1, 0]


@pytest.mark.parametrize(("limit", "beyond"), [(0.4, True), (0.6, False), (None, False)])
def test_a_class_may_be_too_far_off_as_a_whole(limit: float | None, beyond: bool) -> None:
    budget = Budget((class_of(0.0, 2, 1, 1, limit),), 0.0, "noise")
    row = compared(budget, ([1.0, 1.0], [1.5, 0.5]))
    assert row.mismatched == 0
    assert (row.beyond_rms is not None) is beyond
