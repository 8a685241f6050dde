from __future__ import annotations

import pytest

from onnxproof.gates.selection import choose
from onnxproof.records import Candidate, Ratio
from tests.helpers.graphs import candidate_of


def kept(**nodes: int) -> list[Candidate]:
    strategies = {"dynamo": "dynamo", "trace": "trace", "script": "script"}
    return [
        candidate_of(strategies[name], nodes=count)  # type: ignore[arg-type]
        for name, count in nodes.items()
    ]


def over_trace(runner: str, low: float, high: float) -> Ratio:
    middle = (low + high) / 2
    return Ratio(
        runner=runner, over="trace", ratio=middle, low=low, high=high, rounds=30, repetitions=10
    )


@pytest.mark.parametrize(
    ("dynamo", "script", "chosen"),
    [
        ((1.01, 1.05), (1.02, 1.04), "trace"),
        ((0.99, 1.05), (1.02, 1.04), "dynamo"),
        ((0.99, 1.05), (0.98, 1.04), "script"),
        ((1.0, 1.05), (1.001, 1.04), "dynamo"),
    ],
    ids=["beyond noise", "a tie", "a tie of three", "an interval that ends at 1 is a tie"],
)
def test_of_those_not_shown_to_be_slower_the_one_with_the_fewest_nodes_is_chosen(
    dynamo: tuple[float, float], script: tuple[float, float], chosen: str
) -> None:
    ratios = [over_trace("dynamo", *dynamo), over_trace("script", *script)]
    found, _ = choose(kept(dynamo=8, trace=12, script=5), ratios)
    assert found.label == chosen


def test_a_tie_keeps_the_fastest_where_it_has_the_fewest_nodes() -> None:
    found, reasons = choose(kept(dynamo=12, trace=8), [over_trace("dynamo", 0.98, 1.04)])
    assert found.label == "trace"
    assert reasons["trace"] == (
        "proven; the lowest latency of 2; of 2 not told apart it has the fewest nodes"
    )


def test_the_one_of_a_tie_says_with_which_ratio_it_ties() -> None:
    _, reasons = choose(kept(dynamo=8, trace=12), [over_trace("dynamo", 0.98, 1.04)])
    assert reasons["dynamo"] == (
        "proven; 1.010 times the latency of trace (99 % interval 0.980 to 1.040, 10 repetitions); "
        "of 2 not told apart it has the fewest nodes"
    )


def test_equal_nodes_of_a_tie_go_by_the_order_of_attempts() -> None:
    found, _ = choose(kept(dynamo=8, trace=8), [over_trace("dynamo", 0.98, 1.04)])
    assert found.label == "dynamo"


def test_without_any_comparison_the_fewest_nodes_stand_and_the_reason_says_so() -> None:
    found, reasons = choose(kept(dynamo=8, trace=6), [])
    assert (found.label, reasons) == (
        "trace",
        {"trace": "proven; nothing was compared, and it has the fewest nodes"},
    )


def test_one_candidate_is_chosen_without_a_word() -> None:
    assert choose(kept(trace=6), [])[1] == {"trace": "proven"}
