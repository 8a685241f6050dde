from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.check.budget import (
    MULTIPLE,
    MULTIPLE_OF_ROUNDING,
    Budget,
    budget_for,
    budget_of,
    budget_on,
)
from onnxproof.check.class_budget import LEAST_ELEMENTS, RMS_MULTIPLE
from onnxproof.check.elementwise import Comparison
from onnxproof.records import ClassBudget, ClassNoise, Noise, Rounding
from onnxproof.reference.distance import Distance
from onnxproof.samples.magnitude import low_of
from onnxproof.spec import Provider
from tests.helpers.specs import spec_of

OWN = {"atol": 1.0, "rtol": 0.5}
WHOLE = {"atol": 0.1, "rtol": 0.2}
EPS = 2.0**-23


def ones(size: int, *, times: float = 1.0, seed: int = 0) -> np.ndarray:
    """Of magnitude ``times`` up to twice that."""
    drawn = np.random.default_rng(seed).uniform(1, 2, size)
    return np.asarray(drawn * times, np.float32)


def derived(*parts: np.ndarray, noise: dict[float, tuple[int, float]] | None) -> Budget:
    """Of one sample of ``parts``; ``noise`` is (elements, largest) by what a class begins at."""
    measured = None
    if noise is not None:
        classes = tuple(
            ClassNoise(low=low, elements=elements, max_abs=largest, rms=largest / 2)
            for low, (elements, largest) in noise.items()
        )
        measured = Noise(name="y", max_abs=1, sets=1, classes=classes)
    return budget_for(spec_of(), "y", [np.concatenate(parts)], measured)


def allowed_to(budget: Budget, *values: float) -> list[float]:
    return [float(atol) for atol in budget.allowed(np.array(values))]


@pytest.mark.parametrize(
    ("sections", "tolerance"),
    [
        ({"outputs": {"y": {"tolerance": OWN}}, "check": {"tolerance": WHOLE}}, (1.0, 0.5)),
        ({"outputs": {"y": {}}, "check": {"tolerance": WHOLE}}, (0.1, 0.2)),
        ({"outputs": {"z": {"tolerance": OWN}}, "check": {"tolerance": WHOLE}}, (0.1, 0.2)),
        ({"check": {"tolerance": WHOLE}}, (0.1, 0.2)),
        ({"outputs": {"y": {"tolerance": OWN}}}, (1.0, 0.5)),
    ],
    ids=["output", "check", "another output", "check alone", "output alone"],
)
def test_the_nearest_tolerance_counts_for_elements_of_every_size(
    sections: Any, tolerance: tuple[float, float]
) -> None:
    budget = budget_for(spec_of(**sections), "y", [np.array([1, -1e9, 0], np.float32)], None)
    assert ([row.atol for row in budget.classes], budget.rtol) == ([tolerance[0]], tolerance[1])
    assert (budget.basis, budget.classes[0].max_rms_diff) == ("spec", None)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("sections", [{}, {"check": {"tolerance": WHOLE}}], ids=["auto", "asked"])
def test_what_is_no_float_has_no_tolerance(dtype: str, sections: Any) -> None:
    budget = budget_for(spec_of(**sections), "y", [np.ones(3, dtype)], None)
    assert (budget.basis, allowed_to(budget, 0, 1, 1e6)) == ("exact", [0, 0, 0])


def test_a_class_is_held_to_a_multiple_of_its_own_noise() -> None:
    budget = derived(ones(64), ones(64, times=3e6), noise={1: (64, 1e-5), low_of(2): (64, 0.5)})
    assert budget.basis == "noise"
    assert allowed_to(budget, 1.0)[0] == pytest.approx(MULTIPLE * 1e-5 + budget.rtol)
    assert budget.classes[1].atol == pytest.approx(
        max(MULTIPLE * 0.5, budget.classes[1].rms * 32 * EPS)
    )


def test_a_large_number_widens_nothing_for_smaller_ones() -> None:
    alone = derived(ones(8), noise={1: (8, 1e-6)})
    beside = derived(ones(8), ones(8, times=3e6), noise={1: (8, 1e-6), low_of(2): (8, 0.9)})
    assert allowed_to(beside, 1.0, 1.9) == allowed_to(alone, 1.0, 1.9)


@pytest.mark.parametrize("elements", [1, LEAST_ELEMENTS - 1, LEAST_ELEMENTS])
def test_too_few_elements_take_the_noise_of_the_class_next_above(elements: int) -> None:
    small = ones(elements, times=1e-2)
    budget = derived(small, ones(64), noise={low_of(-1): (elements, 1e-9), 1: (64, 1e-5)})
    own, inherited = 32 * EPS * 1.5e-2, MULTIPLE * 1e-5
    expected = own if elements >= LEAST_ELEMENTS else inherited
    assert budget.classes[0].atol == pytest.approx(expected, rel=0.2)


def test_elements_that_were_not_measured_may_be_what_larger_ones_canceled_to() -> None:
    noise = {low_of(-1): (64, 1e-12), 1: (5000, 1e-6)}
    large = ones(5000)
    every = derived(ones(64, times=1e-2), large, noise=noise)
    some = derived(ones(500, times=1e-2), large, noise=noise)
    assert every.classes[0].atol == pytest.approx(32 * EPS * 1.5e-2, rel=0.2)
    assert some.classes[0].atol == pytest.approx(MULTIPLE * 1e-6)
    # Five of 500 may be off by that much, not all of them: as a whole a hundredth is allowed.
    assert some.classes[0].max_rms_diff == pytest.approx(0.01 * some.classes[0].rms)


def test_a_few_canceled_elements_may_move_a_class_as_a_whole() -> None:
    noise = {low_of(-2): (64, 1e-14), low_of(-1): (9000, 1e-7)}
    small, large = ones(470, times=1e-6), ones(9000, times=1e-3)
    row = derived(small, large, noise=noise).classes[0]
    assert row.max_rms_diff == pytest.approx(RMS_MULTIPLE * 1e-7 * (9 / 470) ** 0.5)


def test_noise_is_not_taken_across_an_empty_class() -> None:
    budget = derived(ones(20), ones(20, times=3e6), noise={1: (20, 1e-6), low_of(2): (20, 0.3)})
    assert budget.classes[0].atol == pytest.approx(MULTIPLE * 1e-6)


def test_one_element_by_chance_next_to_zero_has_no_budget_of_its_own() -> None:
    budget = derived(ones(500), ones(1, times=1e-8), noise={low_of(-3): (1, 0), 1: (500, 1e-7)})
    assert budget.classes[0].atol == pytest.approx(MULTIPLE * 1e-7)


def test_zeros_are_held_to_what_the_smallest_numbers_are() -> None:
    budget = derived(np.zeros(90, np.float32), ones(90), noise={0: (90, 0), 1: (90, 1e-6)})
    assert allowed_to(budget, 0.0) == [budget.classes[1].atol]
    assert budget.classes[0].max_rms_diff is None


def test_zeros_alone_must_be_equal_where_pytorch_has_no_noise() -> None:
    budget = derived(np.zeros(90, np.float32), noise={0: (90, 0)})
    assert allowed_to(budget, 0.0, 1.0) == [0.0, budget.rtol]


@pytest.mark.parametrize(("dtype", "ulps"), [("float16", 4), ("float32", 32)])
def test_without_noise_some_units_in_the_last_place_of_the_class_are_left(
    dtype: str, ulps: int
) -> None:
    expected = np.array([1, -2, 3], dtype)
    noise = Noise(name="y", max_abs=0, sets=1, classes=())
    (row,) = budget_for(spec_of(), "y", [expected], noise).classes
    rms = float(np.sqrt(np.mean(np.square(expected.astype(np.float64)))))
    assert row.atol == pytest.approx(ulps * float(np.finfo(dtype).eps) * rms)


def test_noise_of_a_class_that_no_measured_sample_has_is_that_of_others_as_a_share() -> None:
    budget = derived(ones(64), ones(5, times=5e3), noise={1: (64, 1e-5)})
    share = MULTIPLE * 1e-5 / budget.classes[0].rms
    assert budget.classes[1].atol == pytest.approx(share * budget.classes[1].rms)


@pytest.mark.parametrize(
    ("dtype", "share"), [("float16", 1e-2), ("float32", 1e-4), ("float64", 1e-10)]
)
def test_where_noise_is_not_known_a_class_has_a_share_of_its_magnitude(
    dtype: str, share: float
) -> None:
    budget = budget_for(spec_of(), "y", [np.array([3, 0, np.inf], dtype)], None)
    assert [row.atol for row in budget.classes] == pytest.approx([3 * share, 3 * share])
    assert (budget.basis, budget.rtol) == ("dtype", share)


def test_where_noise_is_not_known_a_gap_parts_small_numbers_from_large_ones() -> None:
    near = derived(ones(64, times=1e-2), ones(64), noise=None)
    far = derived(ones(64, times=1e-2), ones(64, times=3e6), noise=None)
    assert near.classes[0].atol == near.classes[1].atol
    assert far.classes[0].atol == pytest.approx(1e-4 * 1.5e-2, rel=0.1)


def test_a_fill_sets_no_budget_and_is_held_to_rounding() -> None:
    fill = np.full(8, -1e4, np.float32)
    budget = derived(ones(8), fill, noise={1: (8, 1e-6), low_of(1): (8, 1.0)})
    assert [row.low for row in budget.classes] == [1]
    assert allowed_to(budget, 1.0)[0] == pytest.approx(MULTIPLE * 1e-6, rel=0.3)
    assert allowed_to(budget, -1e4) == [pytest.approx(32 * EPS * 1e4)]


@pytest.mark.parametrize(
    ("noise_rms", "limit"), [(0.0, 0.01), (1e-3, 0.01), (0.1, RMS_MULTIPLE * 0.1)]
)
def test_a_class_as_a_whole_may_be_a_hundredth_away_or_as_far_as_pytorch(
    noise_rms: float, limit: float
) -> None:
    classes = (ClassNoise(low=1, elements=64, max_abs=1.0, rms=noise_rms),)
    noise = Noise(name="y", max_abs=1, sets=1, classes=classes)
    (row,) = budget_for(spec_of(), "y", [np.ones(64, np.float32)], noise).classes
    assert row.max_rms_diff == pytest.approx(limit)


def test_the_budget_can_be_made_again_from_the_record_of_the_comparison() -> None:
    expected = np.concatenate([ones(64), np.zeros(2, np.float32), np.full(8, -1e9, np.float32)])
    budget = derived(expected, noise={1: (64, 1e-6)})
    comparison = Comparison("y", budget)
    comparison.add(expected, expected, "test_data_set_0")
    again, fields = budget_of(comparison.result()), set(ClassBudget.model_fields)
    assert again[1:] == budget[1:]
    held_to = [row.model_dump(include=fields) for row in again.classes]
    assert held_to == [row.model_dump() for row in budget.classes]


def test_noise_is_measured_by_class_with_fills_left_out() -> None:
    saved = np.array([1.5, 1.25, 0.0, 3e6, -1e9], np.float32)
    distance = Distance("y", fills=[-1e9])
    distance.add(saved, saved + np.array([1e-3, 0, 1e-6, 2, 9e8]))
    rows = distance.classes()
    assert [(row.low, row.elements) for row in rows] == [(0, 1), (1, 2), (low_of(2), 1)]
    assert [row.max_abs for row in rows] == pytest.approx([1e-6, 1e-3, 2], rel=1e-3)
    assert rows[1].rms == pytest.approx(1e-3 / 2**0.5, rel=1e-3)


def test_a_provider_that_rounds_is_held_to_what_rounding_does_to_each_class() -> None:
    expected = [ones(64)]
    usual = derived(*expected, noise={1: (64, 1e-7)})
    classes = (ClassNoise(low=1, elements=64, max_abs=1e-3, rms=5e-4),)
    rounding = Rounding(precision="tf32", name="y", max_abs=1e-3, sets=1, classes=classes)
    budget = budget_on(Provider(name="CUDAExecutionProvider"), "tf32", usual, expected, rounding)
    assert budget.basis == "rounding"
    assert budget.classes[0].atol == pytest.approx(MULTIPLE_OF_ROUNDING * 1e-3)
    assert budget_on(Provider(), "float32", usual, expected, rounding) == usual
