from __future__ import annotations

import numpy as np
import pytest

from onnxproof.benchmark.paired import compare, paired_ratio, ratio_over_sittings

ROUNDS = 60


def drifting(seed: int, factor: float = 1.0, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds on a machine that is up to twice as slow in some rounds, as for all of them."""
    noise = np.random.default_rng(seed).exponential(0.03, rounds)
    drift = 1.5 + 0.5 * np.sin(np.arange(rounds) / 7)
    return list(factor * drift * (1 + noise))


def test_a_small_difference_is_seen_through_a_large_drift() -> None:
    found = paired_ratio([drifting(0, 1.05)], [drifting(1)])
    assert 1.02 < found.low < found.ratio < found.high < 1.08


def test_equals_are_not_told_apart_in_about_nineteen_cases_of_twenty() -> None:
    cases = 60
    held = 0
    for seed in range(cases):
        found = paired_ratio([drifting(2 * seed)], [drifting(2 * seed + 1)])
        held += found.low <= 1 <= found.high
    assert held >= 0.85 * cases


def test_the_interval_is_the_same_each_time() -> None:
    assert paired_ratio([drifting(0)], [drifting(1)]) == paired_ratio([drifting(0)], [drifting(1)])


def test_a_ratio_over_places_is_the_geometric_mean() -> None:
    found = paired_ratio([[2.0] * 5, [1.0] * 5], [[1.0] * 5, [2.0] * 5])
    assert found == pytest.approx((1, 1, 1))


def test_rounds_that_one_of_both_took_no_part_in_are_left_out() -> None:
    assert paired_ratio([[2.0] * 5 + [9.0] * 20], [[1.0] * 5]).ratio == pytest.approx(2)


def test_all_are_compared_with_the_one_of_the_lowest_latency_nearest_first() -> None:
    samples = {"a": [[3.0, 3.1, 3.2]], "b": [[1.0, 1.1, 1.2]], "c": [[2.0, 2.1, 2.2]]}
    found = compare(samples)
    assert [(each.contender, each.over, each.rounds) for each in found] == [
        ("c", "b", 3),
        ("a", "b", 3),
    ]


def test_one_that_left_before_the_machine_slowed_down_is_not_the_fastest_for_that() -> None:
    samples = {"left": [[1.1] * 10], "a": [[1.0] * 10 + [5.0] * 30], "b": [[1.2] * 10 + [6.0] * 30]}
    assert [(each.contender, each.over) for each in compare(samples)] == [("left", "a"), ("b", "a")]


@pytest.mark.parametrize(
    "samples",
    [{}, {"a": [[1.0, 1.0]]}, {"a": [[1.0]], "b": [[2.0]]}],
    ids=["none", "one", "a round"],
)
def test_nothing_is_compared_without_two_contenders_and_two_rounds(
    samples: dict[str, list[list[float]]],
) -> None:
    assert compare(samples) == ()


def test_sittings_that_disagree_widen_the_interval_however_many_rounds_they_have() -> None:
    base = [[1.0] * 1000] * 4
    found = ratio_over_sittings([[1.03] * 1000, [0.98] * 1000, [1.01] * 1000, [1.0] * 1000], base)
    assert found.low < 1 < found.high
    assert found.ratio == pytest.approx(1.005, abs=1e-3)
    steady = ratio_over_sittings([[1.05] * 3, [1.06] * 3, [1.05] * 3, [1.04] * 3], base)
    assert steady.low > 1.02
