from __future__ import annotations

import math
from typing import Any

import pytest

from onnxproof.records import GridPoint
from onnxproof.samples.grid import (
    affordable,
    example_sizes,
    joint_sizes,
    label,
    settled_shape,
    shape_grid,
)
from onnxproof.spec.dims import Dim


def dims(**ranges: Any) -> dict[str, Dim]:
    return {name: Dim.model_validate(bounds) for name, bounds in ranges.items()}


IMAGES = dims(batch={"max": 64}, height={"min": 32, "max": 256, "multiple_of": 32})


def test_every_dim_is_seen_at_both_ends_and_in_between() -> None:
    for name, dim in IMAGES.items():
        seen = {point[name] for point in shape_grid(IMAGES)}
        assert {dim.smallest, dim.largest} < seen


@pytest.mark.parametrize(
    ("dim", "between"),
    [
        ({"max": 64}, 23),
        ({"max": 4}, 3),
        ({"min": 3, "max": 12, "multiple_of": 3}, 9),
        ({"min": 5, "max": 6}, 5),
        ({"max": 512, "multiple_of": 8}, 176),
        ({"min": 7, "max": 7}, 7),
        ({"max": 2}, 1),
    ],
)
def test_the_size_in_between_is_odd_where_that_is_allowed(
    dim: dict[str, int], between: int
) -> None:
    sizes = {point["n"] for point in shape_grid(dims(n={**dim, "example": dim["max"]}))}
    assert {dims(n=dim)["n"].smallest, between, dim["max"]} <= sizes
    assert len(sizes) <= 4  # and an even one


def test_the_example_is_a_point() -> None:
    declared = dims(batch={"max": 64, "example": 10}, seq={"max": 512, "example": 24})
    assert {"batch": 10, "seq": 24} in shape_grid(declared)


def test_points_stand_cheapest_first_and_once() -> None:
    points = shape_grid(IMAGES)
    costs = [math.prod(point.values()) for point in points]
    assert costs == sorted(costs)
    assert points[0] == {"batch": 1, "height": 32}
    assert len({tuple(point.items()) for point in points}) == len(points)


def test_every_point_is_within_the_declared_ranges() -> None:
    for point in shape_grid(IMAGES):
        assert all(IMAGES[name].holds(size) for name, size in point.items())


def test_one_dim_is_in_between_while_the_others_are_small() -> None:
    points = shape_grid(IMAGES)
    assert {"batch": 23, "height": 32} in points
    assert {"batch": 1, "height": 96} in points
    assert {"batch": 23, "height": 96} in points


def test_one_dim_is_large_while_the_others_are_small() -> None:
    assert {"batch": 64, "height": 32} in shape_grid(IMAGES)
    assert {"batch": 64, "height": 256} not in shape_grid(IMAGES)


@pytest.mark.parametrize("ends", [(3, 33), (4, 33), (3, 32), (4, 32), (5, 6)])
def test_both_parities_of_a_range_are_seen_beside_each_parity_of_another(
    ends: tuple[int, int],
) -> None:
    low, high = ends
    points = shape_grid(dims(h={"min": low, "max": high}, w={"min": low, "max": high}))
    seen = {(point["h"] % 2, point["w"] % 2) for point in points}
    assert {(0, 0), (1, 1)} <= seen
    assert {(1, 0), (0, 1)} & seen


def test_all_dims_grow_together_from_their_largest_down() -> None:
    points = list(joint_sizes(IMAGES))
    assert points[:3] == [
        {"batch": 64, "height": 256},
        {"batch": 32, "height": 128},
        {"batch": 16, "height": 96},
    ]
    assert all(IMAGES[name].holds(size) for point in points for name, size in point.items())


def test_without_dims_there_is_one_point() -> None:
    assert shape_grid({}) == ({},)
    assert label({}) == "the only shape"


def test_static_looks_at_the_example_alone() -> None:
    assert shape_grid(IMAGES, static=True) == (example_sizes(IMAGES),)


@pytest.mark.parametrize(
    "ranges",
    [
        {"a": {"max": 64}, "b": {"max": 64}, "c": {"max": 64}},
        {"a": {"max": 64}, "b": {"max": 64, "example": 3}},
        {"a": {"max": 3}, "b": {"max": 3}},
        {"a": {"max": 8, "multiple_of": 4}, "b": {"max": 8, "multiple_of": 4}},
        {"a": {"max": 512, "multiple_of": 128}, "b": {"max": 512, "multiple_of": 128}},
    ],
    ids=["odd", "given later", "narrow", "two multiples", "wide steps"],
)
def test_examples_differ_where_the_ranges_allow(ranges: dict[str, Any]) -> None:
    declared = dims(**ranges)
    sizes = example_sizes(declared)
    assert len(set(sizes.values())) == len(sizes)
    assert all(declared[name].holds(size) for name, size in sizes.items())


def test_an_example_is_never_one_where_more_is_allowed() -> None:
    assert example_sizes(dims(a={"max": 2}, b={"max": 1})) == {"a": 2, "b": 1}


def test_an_example_is_never_one_step_where_more_is_allowed() -> None:
    assert example_sizes(dims(a={"min": 32, "max": 96, "multiple_of": 32})) == {"a": 64}


def test_a_given_example_is_kept() -> None:
    assert example_sizes(dims(a={"max": 64, "example": 10})) == {"a": 10}


def test_a_size_is_a_number_where_it_cannot_change() -> None:
    declared = dims(batch={"max": 8, "example": 5}, channels={"min": 3, "max": 3})
    shape = ("batch", "channels", "2*channels", "batch + channels", 7)
    assert settled_shape(shape, declared) == ("batch", 3, 6, "batch + channels", 7)
    assert settled_shape(shape, declared, static=True) == (5, 3, 6, 8, 7)


def test_a_point_is_reported_by_its_dims() -> None:
    assert label({"batch": 3, "seq": 24}) == "batch=3 seq=24"


def test_points_are_affordable_while_the_next_should_end_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def worked_at(seconds: float) -> list[int]:
        clock[0] = 0.0
        sizes = []
        points = [GridPoint(dims={"batch": size}, outcome="passed") for size in (1, 2, 4)]
        for point in affordable(points, seconds):
            sizes.append(point.dims["batch"])
            clock[0] += point.dims["batch"]
        return sizes

    assert worked_at(7) == [1, 2, 4]
    assert worked_at(6.9) == [1, 2]  # the third would end at 7
    assert worked_at(0) == [1]
