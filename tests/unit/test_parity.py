from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.parity import compare, merge, tolerance_for
from onnxproof.records import OutputParity
from tests.unit.builders import spec_of
from tests.unit.making import parity_of

OWN = {"atol": 1.0, "rtol": 0.5}
WHOLE = {"atol": 0.1, "rtol": 0.2}


def parity(expected: Any, actual: Any, atol: float = 0, rtol: float = 0) -> OutputParity:
    return compare("y", np.asarray(expected), np.asarray(actual), (atol, rtol), "test_data_set_3")


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


def test_integers_that_float64_cannot_tell_apart_are_told_apart() -> None:
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
    assert list(tolerance_for(spec_of(**sections), "y", expected)) == tolerance


@pytest.mark.parametrize(
    ("dtype", "share"), [("float16", 1e-2), ("float32", 1e-4), ("float64", 1e-10)]
)
def test_auto_is_a_share_of_the_usual_magnitude_by_dtype(dtype: str, share: float) -> None:
    expected = [np.array([magnitude, 0], dtype) for magnitude in (-1, 3, 1000)]
    assert tolerance_for(spec_of(), "y", expected) == pytest.approx((3 * share, share))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("sections", [{}, {"check": {"tolerance": WHOLE}}], ids=["auto", "asked"])
def test_what_is_no_float_has_no_tolerance(dtype: str, sections: Any) -> None:
    assert tolerance_for(spec_of(**sections), "y", [np.ones(3, dtype)]) == (0, 0)


@pytest.mark.parametrize("array", [np.zeros((0, 2), np.float32), np.array(0, np.float32)])
def test_auto_of_an_output_of_nothing_or_zeros_is_relative_alone(array: Any) -> None:
    assert tolerance_for(spec_of(), "y", [array]) == (0, 1e-4)
