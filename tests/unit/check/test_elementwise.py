from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.check.elementwise import MOST, MULTIPLE, Budget, budget_for, compare, merge
from onnxproof.records import Noise, OutputParity
from tests.helpers.graphs import parity_of
from tests.helpers.specs import spec_of

OWN = {"atol": 1.0, "rtol": 0.5}
WHOLE = {"atol": 0.1, "rtol": 0.2}
NAN, INF = float("nan"), float("inf")


def parity(
    expected: Any, actual: Any, atol: float = 0, rtol: float = 0, *, allow: bool = False
) -> OutputParity:
    expected, actual = np.asarray(expected), np.asarray(actual)
    budget = Budget(atol, rtol, "spec" if expected.dtype.kind == "f" else "exact", allow)
    return compare("y", expected, actual, budget, "test_data_set_3")


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
    near = parity_of(samples=1, max_abs_diff=0.1, max_rel_diff=9, mismatched=1, elements=10)
    far = parity_of(
        samples=2, max_abs_diff=0.2, max_rel_diff=1, mismatched=2, elements=20, worst_set="far"
    )
    for row in (merge(near, far), merge(far, near)):
        assert (row.samples, row.mismatched, row.elements) == (3, 3, 30)
        assert (row.max_abs_diff, row.max_rel_diff, row.worst_set) == (0.2, 9, "far")


def test_a_nan_in_any_sample_stays() -> None:
    rows = [parity([1.0], [actual], atol=1) for actual in (1.0, float("nan"), 1.0)]
    merged = merge(merge(rows[0], rows[1]), rows[2])
    assert (merged.mismatched, merged.max_abs_diff) == (1, float("inf"))


@pytest.mark.parametrize(
    ("sections", "tolerance"),
    [
        ({"outputs": {"y": {"tolerance": OWN}}, "check": {"tolerance": WHOLE}}, [1.0, 0.5]),
        ({"outputs": {"y": {}}, "check": {"tolerance": WHOLE}}, [0.1, 0.2]),
        ({"outputs": {"z": {"tolerance": OWN}}, "check": {"tolerance": WHOLE}}, [0.1, 0.2]),
        ({"check": {"tolerance": WHOLE}}, [0.1, 0.2]),
        ({"outputs": {"y": {"tolerance": OWN}}}, [1.0, 0.5]),
        ({}, [pytest.approx(2e-4), 1e-4]),
    ],
    ids=["output", "check", "another output", "check alone", "output alone", "auto"],
)
def test_the_nearest_tolerance_counts(sections: Any, tolerance: Any) -> None:
    expected = [np.array([1, -2], np.float32)]
    assert list(budget_for(spec_of(**sections), "y", expected, None)[:2]) == tolerance


@pytest.mark.parametrize(
    ("dtype", "share"), [("float16", 1e-2), ("float32", 1e-4), ("float64", 1e-10)]
)
def test_without_noise_auto_is_a_share_of_the_usual_magnitude_by_dtype(
    dtype: str, share: float
) -> None:
    expected = [np.array([magnitude, 0], dtype) for magnitude in (-1, 3, 1000)]
    budget = budget_for(spec_of(), "y", expected, None)
    assert budget[:2] == pytest.approx((3 * share, share))
    assert budget.basis == "dtype"


@pytest.mark.parametrize(
    ("noise", "share"),
    [(1e-5, MULTIPLE * 1e-5 / 4), (0, 32 * 2**-23), (1e-7, 32 * 2**-23), (1, MOST["float32"])],
    ids=["a multiple", "no noise at all", "less than rounding", "more than excuses anything"],
)
def test_auto_is_a_multiple_of_the_noise_between_two_ends(noise: float, share: float) -> None:
    expected = [np.array([magnitude, 0], np.float32) for magnitude in (-1, 4, 1000)]
    measured = Noise(name="y", max_abs=noise, sets=3)
    budget = budget_for(spec_of(), "y", expected, measured)
    assert budget[:2] == pytest.approx((4 * share, share))
    assert budget.basis == "noise"


def test_noise_of_float16_has_ends_of_its_own() -> None:
    expected = [np.array([1, 0], np.float16)]
    shares = [
        budget_for(spec_of(), "y", expected, Noise(name="y", max_abs=noise, sets=1)).rtol
        for noise in (0.0, 5e-4, 1.0)
    ]
    assert shares == pytest.approx([4 * 2**-10, MULTIPLE * 5e-4, MOST["float16"]])


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("sections", [{}, {"check": {"tolerance": WHOLE}}], ids=["auto", "asked"])
def test_what_is_no_float_has_no_tolerance(dtype: str, sections: Any) -> None:
    assert budget_for(spec_of(**sections), "y", [np.ones(3, dtype)], None) == (0, 0, "exact", False)


def test_an_integer_output_is_held_to_a_tolerance_of_its_own() -> None:
    spec = spec_of(outputs={"y": {"tolerance": {"atol": 1, "rtol": 0}}})
    budget = budget_for(spec, "y", [np.array([3, 200], np.uint8)], None)
    row = compare("y", np.array([3, 200, 7]), np.array([4, 198, 7]), budget, "test_data_set_0")
    assert (row.basis, row.mismatched, row.max_abs_diff, row.budget_used) == ("spec", 1, 2, 2)


@pytest.mark.parametrize("array", [np.zeros((0, 2), np.float32), np.array(0, np.float32)])
def test_auto_of_an_output_of_nothing_or_zeros_is_relative_alone(array: Any) -> None:
    assert budget_for(spec_of(), "y", [array], None)[:2] == (0, 1e-4)


def test_allowed_nan_and_infinity_pass_where_pytorch_gives_the_same() -> None:
    row = parity([1.0, NAN, INF, -INF], [1.5, NAN, INF, -INF], atol=1, allow=True)
    assert (row.mismatched, row.max_abs_diff, row.allow_nonfinite) == (0, 0.5, True)
    assert row.max_rel_diff == 0.5


def test_the_magnitude_is_that_of_finite_elements() -> None:
    expected = [np.array([-INF, 2, NAN], np.float32)]
    assert budget_for(spec_of(), "y", expected, None)[:2] == pytest.approx((2e-4, 1e-4))


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


def test_cosine_and_sqnr_are_of_the_whole_output() -> None:
    row = parity([3.0, 4.0], [3.0, 4.5], atol=1)
    assert row.cosine == pytest.approx((9 + 18) / (5 * np.hypot(3, 4.5)))
    assert row.sqnr_db == pytest.approx(10 * np.log10(25 / 0.25))
    assert parity([3.0, 4.0], [3.0, 4.0]).sqnr_db is None


def test_rows_with_another_best_class_are_counted() -> None:
    expected = np.array([[1, 2, 3], [3, 2, 1], [0, 5, 4]], np.float32)
    actual = np.array([[1, 2, 3], [3, 2, 1], [0, 4, 5]], np.float32)
    row = merge(parity(expected, actual, atol=2), parity(expected, expected))
    assert (row.rows, row.same_top1) == (6, 5)


def test_the_worst_of_the_other_numbers_stays_too() -> None:
    near = parity([[1.0, 2.0]], [[1.0, 2.0]], atol=1)
    far = parity([[1.0, 2.0]], [[1.5, 2.0]], atol=1)
    for row in (merge(near, far), merge(far, near)):
        assert (row.sqnr_db, row.cosine) == (far.sqnr_db, far.cosine)
        assert (row.max_ulp, row.budget_used) == (far.max_ulp, far.budget_used)
