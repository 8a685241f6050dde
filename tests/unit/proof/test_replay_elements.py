from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.check.budget import Budget, one_class
from onnxproof.check.elementwise import Comparison
from onnxproof.proof import replay
from onnxproof.records import Basis
from tests.helpers.graphs import class_of

SIDES = ("pytorch", "onnx")


def held_to(budget: Budget) -> dict[str, Any]:
    """What proof.json says of an output that was held to ``budget``."""
    row: dict[str, Any] = Comparison("y", budget).result().model_dump(mode="json")
    return row


def add(wanted: Any, found: Any, dtype: str, atol: float = 0, rtol: float = 0) -> replay.Row:
    basis: Basis = "spec" if atol or np.dtype(dtype).kind == "f" else "exact"
    row = replay.row_of(held_to(one_class(atol, rtol, basis)))
    return replay.add(row, np.asarray(wanted, dtype), np.asarray(found, dtype))


@pytest.mark.parametrize("off", [0.0, 1e-5, 1e-3, 0.5, 200.0])
@pytest.mark.parametrize("place", range(7))
def test_each_magnitude_class_and_each_fill_is_judged_as_in_the_check(
    off: float, place: int
) -> None:
    budget = Budget(
        (
            class_of(0.0, 2, 0.0, 1e-4),
            class_of(1.0, 3, 2.0, 1e-2, 1e-3),
            class_of(1024.0, 1, 5e3, 1.0, 90.0),
        ),
        1e-6,
        "noise",
        fills=((-1e9, 100.0),),
    )
    wanted = np.array([0.0, 1e-5, 1.0, 2.0, 3.0, 5e3, -1e9])
    found = wanted.copy()
    found[place] += off
    comparison = Comparison("y", budget)
    comparison.add(wanted, found, "test_data_set_0")
    checked = comparison.result()
    row = replay.add(replay.row_of(held_to(budget)), wanted, found)
    assert row.mismatched == checked.mismatched
    assert row.beyond is (checked.beyond_rms is not None)
    assert replay.holds([row], same=True) is not bool(checked.mismatched or checked.beyond_rms)


@pytest.mark.parametrize(
    ("wanted", "found", "dtype", "mismatched", "largest"),
    [
        ([1, 2], [1, 2.5], "float32", 0, 0.5),
        ([1, 2], [1, 3.5], "float32", 1, 1.5),
        ([5000, 1], [5001, 1], "int64", 1, 1),
        ([2**53], [2**53 + 1], "int64", 1, 0),
        ([True, False], [True, True], "bool", 1, 1),
        (2, 2.5, "float32", 0, 0.5),
        (2, 4, "float32", 1, 2),
        (7, 8, "int64", 1, 1),
        (7, 7, "int64", 0, 0),
        ([[], []], [[], []], "float32", 0, 0),
    ],
)
def test_elements_agree_as_in_the_check(
    wanted: Any, found: Any, dtype: str, mismatched: int, largest: float
) -> None:
    atol, rtol = (0.5, 0.25) if dtype == "float32" else (0, 0)
    row = add(wanted, found, dtype, atol=atol, rtol=rtol)
    assert (row.mismatched, row.max_abs_diff, row.elements) == (
        mismatched,
        largest,
        np.size(wanted),
    )


@pytest.mark.parametrize("side", ["onnx", "pytorch", "both"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_nan_and_infinity_never_agree(side: str, bad: float, shape: tuple[int, ...]) -> None:
    wanted, found = (np.full(shape, bad if side in (mine, "both") else 1.0) for mine in SIDES)
    row = add(wanted, found, "float32", atol=1e30, rtol=1e30)
    assert (row.mismatched, row.max_abs_diff) == (row.elements, float("inf"))


def test_an_integer_may_differ_as_far_as_its_proof_allows() -> None:
    assert add([3, 200, 7], [4, 198, 7], "int64", atol=1).mismatched == 1


@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize(
    ("wanted", "found", "agree"),
    [
        ("nan", "nan", True), ("inf", "inf", True), ("-inf", "-inf", True), ("1", "1", True),
        ("nan", "inf", False), ("inf", "-inf", False), ("1", "nan", False), ("inf", "1", False),
    ],
)  # fmt: skip
def test_where_the_proof_allows_nan_it_agrees_with_itself_alone(
    wanted: str, found: str, agree: bool, shape: tuple[int, ...]
) -> None:
    row = replay.row_of(held_to(one_class(1e30, 1e30, "spec", allow_nonfinite=True)))
    row = replay.add(row, np.full(shape, float(wanted)), np.full(shape, float(found)))
    assert bool(row.mismatched) is not agree


def test_another_shape_disagrees_also_where_nothing_is_in_it() -> None:
    row = add(np.zeros((0, 4)), np.zeros((0, 5)), "float32")
    assert (row.mismatched, row.max_abs_diff) == (1, float("inf"))
