from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from onnxproof.benchmark.pytorch import baseline
from onnxproof.benchmark.repetitions import Workload
from onnxproof.benchmark.runners import Runner
from onnxproof.benchmark.throughput import measure, throughput
from onnxproof.errors import SpecError
from onnxproof.samples.generate import Feed
from tests.helpers.specs import spec_of, work_in


def workload_of(**asked: Any) -> Workload:
    section = {"dim": "batch", "seconds": 0.05, **asked}
    return Workload.of(spec_of(benchmark={"throughput": section}))


def calling(call: Callable[[], object]) -> Runner:
    def prepare(feed: Feed) -> Callable[[], object]:
        return call

    return Runner("toy", "CPUExecutionProvider", prepare)


def test_sizes_come_first_with_one_caller_then_callers_at_the_first_point() -> None:
    workload = workload_of(sizes=[1, 4], callers=[2])
    found = list(throughput(workload, lambda: [calling(lambda: None)]))
    loads = [(load.dims["batch"], load.callers) for load in found]
    assert loads == [(1, 1), (4, 1), (workload.points[0]["batch"], 2)]
    for load in found:
        assert load.calls > 0
        assert load.items_per_second == pytest.approx(load.calls_per_second * load.dims["batch"])


def test_without_being_asked_nothing_is_opened() -> None:
    def never() -> Sequence[Runner]:
        raise AssertionError("opened")

    assert list(throughput(Workload.of(spec_of()), never)) == []


def test_callers_call_at_the_same_time() -> None:
    together = threading.Barrier(3)
    met: list[int] = []

    def call() -> None:
        if len(met) < 3 and threading.current_thread() is not threading.main_thread():
            together.wait(timeout=20)  # breaks where one of them comes after another
            met.append(threading.get_ident())
        time.sleep(0.001)

    found = measure(calling(call), workload_of(callers=[3]), {"batch": 2}, 3, 0.05)
    assert len(set(met)) == 3
    assert found.callers == 3


def test_sleeping_callers_do_twice_the_calls_of_one() -> None:
    runner, workload = calling(lambda: time.sleep(0.002)), workload_of(callers=[2])
    one, two = (measure(runner, workload, {"batch": 1}, callers, 0.2) for callers in (1, 2))
    assert 1.4 < two.calls_per_second / one.calls_per_second < 2.6


def test_what_goes_wrong_in_a_caller_comes_out() -> None:
    def call() -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("out of paper")

    with pytest.raises(RuntimeError, match="out of paper"):
        measure(calling(call), workload_of(callers=[1]), {"batch": 1}, 1, 0.05)


def test_callers_of_pytorch_are_in_inference_mode_too(tmp_path: Path) -> None:
    with baseline(spec_of(), work_in(tmp_path)) as found:
        assert found is not None
        (eager,) = found.eager()
        text = measure(eager, workload_of(callers=[2]), {"batch": 2}, 2, 0.05)
    assert (text.runner, text.where) == ("pytorch eager", "PyTorch")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, "benchmark.throughput asks nothing; give sizes, callers or both"),
        ({"sizes": [9]}, "benchmark.throughput.sizes batch=9 lies outside the declared dims"),
        (
            {"dim": "bath", "sizes": [1]},
            "benchmark.throughput.sizes bath=1 lies outside the declared dims",
        ),
        ({"callers": [0]}, "benchmark.throughput.callers.0: "),
    ],
)
def test_a_section_that_cannot_be_measured_is_reported(
    section: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(benchmark={"throughput": section})
    assert message in str(caught.value)


def test_threads_need_processors() -> None:
    with pytest.raises(SpecError, match=r"benchmark\.cpus names 1 processors for 2 threads"):
        spec_of(benchmark={"cpus": [0, 0], "threads": 2})
