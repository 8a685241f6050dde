from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from onnxproof.reference import payable_points
from onnxproof.reference.operations import count
from onnxproof.reference.payable_points import PayablePoints
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.samples.generate import draw
from tests.helpers.specs import Does, source_of, work_in

IMAGES = {
    "inputs": {"x": "float32[1, 1, h, w]"},
    "dims": {"h": {"min": 4, "max": 40}, "w": {"min": 4, "max": 20}},
}
CORNER = {"h": 40, "w": 20}


def test_products_and_elements_of_results_are_counted() -> None:
    source = source_of(Does(lambda x: x @ torch.ones(4, 5) + 1))
    found = count(source, draw(source.spec.inputs, {"batch": 3}, 0, 0))
    assert found is not None
    products, results = 2 * 3 * 4 * 5, 4 * 5 + 2 * 3 * 5
    assert products + results <= found.operations <= products + results + 40
    assert not found.steps_with_sizes


def test_all_dims_are_large_together_where_that_can_be_paid(tmp_path: Path) -> None:
    source = source_of(Does(lambda x: x * 2), **IMAGES)
    points = ReferenceWriter(source, work_in(tmp_path)).write().points
    assert [point.outcome for point in points if point.dims == CORNER] == ["passed"]


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"check": {"seconds": 1e-6}}, "operations, check.seconds pays for 2e+03"),
        ({"limits": {"memory_gb": 1e-5}}, "half of limits.memory_gb is"),
    ],
    ids=["work", "memory"],
)
def test_a_corner_that_is_too_much_names_the_largest_joint_point_that_ran(
    section: dict[str, dict[str, float]], reason: str
) -> None:
    source = source_of(Does(lambda x: (x * 2 + 1) @ x.transpose(2, 3)), **IMAGES, **section)
    sizes, (corner,) = PayablePoints(source).joint([])
    assert (corner.dims, corner.outcome, corner.sets) == (CORNER, "not_reached", ())
    assert reason in corner.reason
    assert sizes
    assert 4 < sizes["h"] < 40
    assert corner.reason.endswith(f"ran is h={sizes['h']} w={sizes['w']}")


def test_every_size_is_tried_where_an_operator_scales_sizes() -> None:
    def resized(x: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=0.7)

    sizes = PayablePoints(source_of(Does(resized), **IMAGES)).every_size([])
    assert {point["h"] for point in sizes} == set(range(4, 41))
    assert {point["w"] for point in sizes} == set(range(4, 21))
    plain = PayablePoints(source_of(Does(lambda x: x * 2), **IMAGES))
    assert plain.every_size([]) == []


def test_sizes_that_take_too_long_are_left_to_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payable_points, "SECONDS_OF_SIZES", 1e-9)
    source = source_of(Does(lambda x: functional.interpolate(x, scale_factor=0.7)), **IMAGES)
    assert PayablePoints(source).every_size([]) == []
