from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from onnxproof.benchmark.warmup import warm_up


def on_a_clock(monkeypatch: pytest.MonkeyPatch, milliseconds: Iterable[float]) -> Callable[[], int]:
    """A call that takes so long each time, by the only clock there is; it counts its calls."""
    clock, taken, count = [0.0], iter(milliseconds), itertools.count(1)

    def call() -> int:
        clock[0] += next(taken)
        return next(count)

    monkeypatch.setattr("time.perf_counter_ns", lambda: int(clock[0] * 1e6))
    monkeypatch.setattr("time.perf_counter", lambda: clock[0] / 1e3)
    return call


def test_a_long_call_that_is_steady_is_called_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    found = warm_up(on_a_clock(monkeypatch, itertools.repeat(900.0)))
    assert (found.first_ms, found.calls, found.settled) == (900, 3, True)
    assert found.last_ms == [900]


def test_calls_go_on_until_they_get_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    falling = [900.0, 700.0, 500.0, 400.0]
    found = warm_up(on_a_clock(monkeypatch, itertools.chain(falling, itertools.repeat(400.0))))
    assert (found.first_ms, found.calls, found.settled) == (900, 7, True)  # the last window has two


def test_two_slow_calls_of_a_profiling_executor_do_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = [900.0, 990.0, 330.0]
    found = warm_up(on_a_clock(monkeypatch, itertools.chain(slow, itertools.repeat(330.0))))
    assert (found.calls, found.settled) == (5, True)


def test_a_clock_that_rises_slowly_shows_in_longer_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is 0.5 % faster than the one before: a window of a few calls shows no gain."""
    ramp = [0.995**number for number in range(300)]
    rest = itertools.repeat(ramp[-1])
    found = warm_up(on_a_clock(monkeypatch, itertools.chain(ramp, rest)))
    assert found.settled
    assert found.calls > 150


def test_what_never_settles_is_given_up_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = warm_up(on_a_clock(monkeypatch, (1000 * 0.8**number for number in itertools.count())))
    assert not found.settled
    assert found.calls == 5  # 1000, 800, 640, 512 and 410 ms are more than LONGEST_SECONDS


def test_short_calls_fill_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1390 <= warm_up(on_a_clock(monkeypatch, itertools.repeat(0.1))).calls <= 1410
    call = on_a_clock(monkeypatch, itertools.repeat(0.1))
    assert 139 <= warm_up(call, again=True).calls <= 141
