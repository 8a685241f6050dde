from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from onnxproof.spec.dims import Dim, evaluate, names_in


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min": 9, "max": 4}, "min 9 is above max 4; swap them or widen the range"),
        ({"min": 9, "max": 15, "multiple_of": 8}, "no multiple of 8 lies in 9..15"),
        (
            {"min": 1, "max": 64, "multiple_of": 8, "example": 12},
            "example 12 is not a multiple of 8 in 1..64",
        ),
        ({"max": 4, "example": 5}, "example 5 is not a multiple of 1 in 1..4"),
        ({"min": 0, "max": 4}, "greater than or equal to 1"),
        ({"min": 1}, "Field required"),
        ({"max": 4, "step": 2}, "Extra inputs are not permitted"),
    ],
)
def test_a_dim_that_contradicts_itself_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("..", r"\.\.")):
        Dim(**fields)


def test_the_ends_are_multiples() -> None:
    dim = Dim(min=3, max=50, multiple_of=8)
    assert (dim.smallest, dim.largest) == (8, 48)


@pytest.mark.parametrize(("size", "allowed"), [(8, True), (48, True), (12, False), (56, False)])
def test_a_dim_holds_the_multiples_in_its_range(size: int, allowed: bool) -> None:
    assert Dim(min=3, max=50, multiple_of=8).holds(size) is allowed


@pytest.mark.parametrize(("asked", "given"), [(1, 8), (13, 16), (11, 8), (900, 48)])
def test_near_gives_the_closest_allowed_size(asked: int, given: int) -> None:
    assert Dim(min=3, max=50, multiple_of=8).near(asked) == given


@pytest.mark.parametrize(
    ("dim", "fixed"),
    [
        (Dim(min=4, max=4), True),
        (Dim(min=5, max=12, multiple_of=8), True),
        (Dim(min=4, max=5), False),
    ],
)
def test_a_dim_with_one_size_is_fixed(dim: Dim, fixed: bool) -> None:
    assert dim.fixed is fixed


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (3, ()),
        ("seq", ("seq",)),
        ("2*seq", ("seq",)),
        ("seq + past", ("seq", "past")),
        ("a*b + a", ("a", "b")),
        ("7", ()),
    ],
)
def test_a_shape_entry_names_its_dims_in_order(size: int | str, names: tuple[str, ...]) -> None:
    assert names_in(size) == names


@pytest.mark.parametrize(
    ("size", "value"),
    [(3, 3), ("seq", 10), ("2*seq", 20), ("seq + past", 14), ("seq // 3", 3), ("(seq-1)*2", 18)],
)
def test_arithmetic_over_dims_is_evaluated(size: int | str, value: int) -> None:
    assert evaluate(size, {"seq": 10, "past": 4}) == value


@pytest.mark.parametrize(
    "size",
    ["seq / 2", "seq **2", "f(seq)", "seq.real", "1.5*seq", "-seq", "seq[0]", "", "a b", "True"],
)
def test_what_is_no_arithmetic_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="is no dimension; write a number, a name or 2"):
        names_in(size)
