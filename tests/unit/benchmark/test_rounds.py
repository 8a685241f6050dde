from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from onnxproof.benchmark.rounds import loop, take_samples


def calls_of(turns: list[int], count: int) -> list[Callable[[], object]]:
    return [lambda index=index: turns.append(index) for index in range(count)]  # type: ignore[misc]


def test_all_runners_are_called_once_a_round_in_an_order_that_changes() -> None:
    turns: list[int] = []
    samples = take_samples(calls_of(turns, 3), seed=0, seconds=9, rounds=20)
    assert [len(sample) for sample in samples] == [20, 20, 20]
    rounds = np.array(turns).reshape(20, 3)
    assert {tuple(sorted(order)) for order in rounds.tolist()} == {(0, 1, 2)}
    assert len({tuple(order) for order in rounds.tolist()}) > 3


def test_the_order_of_turns_is_that_of_the_seed() -> None:
    orders = []
    for seed in (1, 1, 2):
        turns: list[int] = []
        take_samples(calls_of(turns, 4), seed, seconds=9, rounds=8)
        orders.append(turns)
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_a_sample_belongs_to_the_runner_that_took_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0]

    def take(nanoseconds: int) -> Callable[[], object]:
        return lambda: clock.__setitem__(0, clock[0] + nanoseconds)

    monkeypatch.setattr("time.perf_counter_ns", lambda: clock[0])
    samples = take_samples([take(1_000_000), take(3_000_000)], seed=0, seconds=9, rounds=5)
    assert samples == [[1.0] * 5, [3.0] * 5]


def test_a_budget_that_is_used_up_leaves_two_whole_rounds() -> None:
    samples = take_samples(calls_of([], 3), seed=0, seconds=1e-9)
    assert [len(sample) for sample in samples] == [2, 2, 2]


def test_a_loop_has_as_many_calls_as_asked_or_as_fit_and_one_at_least() -> None:
    turns: list[int] = []
    (call,) = calls_of(turns, 1)
    assert len(loop(call, seconds=9, calls=7)) == len(turns) == 7
    assert len(loop(call, seconds=1e-9)) == 1
    assert len(loop(call, seconds=0.05)) > 100


def test_the_calls_right_before_a_loop_are_part_of_it_and_of_its_budget() -> None:
    turns: list[int] = []
    (call,) = calls_of(turns, 1)
    assert loop(call, seconds=9, calls=2, before_ms=[7.0])[0] == 7.0
    assert len(turns) == 1
    assert loop(call, seconds=9, calls=2, before_ms=[5.0, 6.0, 7.0]) == [6.0, 7.0]
    assert loop(call, seconds=0.01, before_ms=[11.0]) == [11.0]
    assert len(turns) == 1


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_garbage_collector_rests_meanwhile_and_is_as_it_was_afterwards(
    *, enabled: bool, fails: bool
) -> None:
    seen: list[bool] = []

    def call() -> None:
        seen.append(gc.isenabled())
        if fails and len(seen) > 1:
            raise RuntimeError("out of paper")

    (gc.enable if enabled else gc.disable)()
    try:
        if fails:
            with pytest.raises(RuntimeError, match="out of paper"):
                take_samples([call], seed=0, seconds=9, rounds=2)
        else:
            take_samples([call], seed=0, seconds=9, rounds=2)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert not any(seen)
