from __future__ import annotations

import numpy as np
import pytest

from onnxproof.benchmark.ratios import compare, ratio_over_repetitions

ROUNDS, REPETITIONS = 60, 10


def drifting(seed: int, factor: float = 1.0, rounds: int = ROUNDS) -> list[float]:
    """Milliseconds on a machine that is up to twice as slow in some rounds, as for all of them."""
    noise = np.random.default_rng(seed).exponential(0.03, rounds)
    drift = 1.5 + 0.5 * np.sin(np.arange(rounds) / 7)
    return list(factor * drift * (1 + noise))


def repetitions(seed: int, factor: float = 1.0, spread: float = 0.005) -> list[list[float]]:
    """As where weights come to lie makes each repetition a little faster or slower as a whole."""
    places = np.exp(np.random.default_rng([seed, 1]).normal(0, spread, REPETITIONS))
    return [
        drifting(seed * REPETITIONS + number, factor * place) for number, place in enumerate(places)
    ]


def test_a_small_difference_is_seen_through_a_large_drift() -> None:
    found = ratio_over_repetitions([repetitions(0, 1.02)], [repetitions(1)])
    assert 1.0 < found.low < found.ratio < found.high < 1.04


def test_of_equals_one_is_called_slower_in_one_case_of_two_hundred() -> None:
    cases = 400
    found = [
        ratio_over_repetitions([repetitions(2 * seed)], [repetitions(2 * seed + 1)])
        for seed in range(cases)
    ]
    assert sum(ratio.low > 1 for ratio in found) <= 0.015 * cases


def test_a_ratio_over_places_is_the_geometric_mean() -> None:
    ours, theirs = [[[2.0] * 5] * 3, [[1.0] * 5] * 3], [[[1.0] * 5] * 3, [[2.0] * 5] * 3]
    assert ratio_over_repetitions(ours, theirs) == pytest.approx((1, 1, 1))


def test_rounds_and_repetitions_that_one_of_both_took_no_part_in_are_left_out() -> None:
    ours = [[[2.0] * 5 + [9.0] * 20, [2.0] * 5, [9.0] * 5]]
    assert ratio_over_repetitions(ours, [[[1.0] * 5] * 2]).ratio == pytest.approx(2)


def test_all_are_compared_with_the_one_of_the_lowest_latency_nearest_first() -> None:
    samples = {
        name: [[[base, base + 0.1, base + 0.2]] * 2]
        for name, base in (("a", 3.0), ("b", 1.0), ("c", 2.0))
    }
    found = compare(samples)
    assert [(ratio.runner, ratio.over, ratio.rounds, ratio.repetitions) for ratio in found] == [
        ("c", "b", 6, 2),
        ("a", "b", 6, 2),
    ]


def test_one_that_left_before_the_machine_slowed_down_is_not_the_fastest_for_that() -> None:
    samples = {
        "left": [[[1.1] * 10] * 3],
        "a": [[[1.0] * 10] * 3 + [[5.0] * 10] * 4],
        "b": [[[1.2] * 10] * 3 + [[6.0] * 10] * 4],
    }
    assert [(ratio.runner, ratio.over) for ratio in compare(samples)] == [
        ("left", "a"),
        ("b", "a"),
    ]


@pytest.mark.parametrize(
    "samples",
    [{}, {"a": [[[1.0], [1.0]]]}, {"a": [[[1.0]]], "b": [[[2.0]]]}],
    ids=["none", "one", "a repetition"],
)
def test_nothing_is_compared_without_two_runners_and_two_repetitions(
    samples: dict[str, list[list[list[float]]]],
) -> None:
    assert compare(samples) == ()


def test_repetitions_that_disagree_widen_the_interval_however_many_rounds_they_have() -> None:
    base = [[[1.0] * 1000] * 4]
    found = ratio_over_repetitions(
        [[[1.03] * 1000, [0.98] * 1000, [1.01] * 1000, [1.0] * 1000]], base
    )
    assert found.low < 1 < found.high
    assert found.ratio == pytest.approx(1.005, abs=1e-3)
    steady = ratio_over_repetitions([[[1.05] * 3, [1.06] * 3, [1.05] * 3, [1.04] * 3]], base)
    assert steady.low > 1.02
