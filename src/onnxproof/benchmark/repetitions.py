"""A repetition opens every runner anew, warms it up, and times all of them in turn."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

from onnxproof.benchmark.rounds import loop, no_collection, take_samples
from onnxproof.benchmark.runners import Runner
from onnxproof.benchmark.timings import Timings
from onnxproof.benchmark.warmup import warm_up
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import Sizes, example_sizes, label, shape_grid
from onnxproof.spec import BenchmarkSpec, Limits, Spec
from onnxproof.spec.dims import Dim
from onnxproof.spec.inputs import InputSpec

REPETITIONS: Final = 20
"""How far they spread depends little on how long they are, so many short ones tell most."""
LOOPS: Final = 0.3
"""Share of the time in which each runner loops by itself; in the rest they take turns."""
FEWEST_REPETITIONS: Final = 6
"""Where opening takes longer than timing, or the spec says how many rounds there are. An even
number, since who is opened first takes turns."""


class Workload(NamedTuple):
    """What runners are given, and for how long; of a spec, or of an ONNX file alone."""

    inputs: Mapping[str, InputSpec]
    dims: Mapping[str, Dim]
    benchmark: BenchmarkSpec
    seed: int = 0
    limits: Limits = Limits()

    @classmethod
    def of(cls, spec: Spec) -> Workload:
        """That of a spec."""
        return cls(spec.inputs, spec.dims, spec.benchmark, spec.check.seed, spec.limits)

    @property
    def points(self) -> tuple[Sizes, ...]:
        """Sizes to time at."""
        example = example_sizes(self.dims)
        return tuple({**example, **point} for point in self.benchmark.at)

    def feed(self, sizes: Sizes) -> Feed:
        """Inputs of these sizes, always the same."""
        return draw(self.inputs, sizes, self.seed, 0)

    def another_shape(self) -> Sizes | None:
        """Sizes that are no point, the smallest first; None where there are no others."""
        return next((sizes for sizes in shape_grid(self.dims) if sizes not in self.points), None)


def repeat(
    workload: Workload,
    open_runners: Callable[[int], Sequence[Runner]],
    timings: Timings,
    *,
    announce: Callable[[int, int], None],
    enough: Callable[[int], bool] = lambda _: True,
) -> int:
    """Time all runners in twenty repetitions, fewer where opening is slow, more until enough.

    Args:
        workload: What every runner is given.
        open_runners: Opens the runners of the repetition with this number.
        timings: Collects the samples.
        announce: Called before each repetition, with its number and how many are planned.
        enough: Called after the planned repetitions, with their number; False asks for one more.

    Returns:
        The number of repetitions.
    """
    from onnxproof.runtime import available_providers

    available_providers()  # importing ONNX Runtime is no part of the first repetition
    gc.collect()
    gc.freeze()  # what is there, torch above all, would take 0.2 s of every collection
    asked = workload.benchmark.samples
    planned = REPETITIONS if asked is None else min(FEWEST_REPETITIONS, asked)
    done = 0
    while done < planned or not enough(done):
        announce(done, planned)
        start, timed = time.monotonic(), timings.wall_seconds
        runners = open_runners(done)
        _repeat_once(workload, runners, timings, done, planned)
        del runners
        gc.collect()  # the sessions, before there are others
        done += 1
        if done == 2 and asked is None:  # the first loads PyTorch's module too
            besides = time.monotonic() - start - (timings.wall_seconds - timed)
            worth = int(workload.benchmark.seconds * len(workload.points) / max(besides, 1e-3))
            planned = max(FEWEST_REPETITIONS, min(planned, worth - worth % 2))
    return done


def _repeat_once(
    workload: Workload, runners: Sequence[Runner], timings: Timings, number: int, planned: int
) -> None:
    benchmark = workload.benchmark
    for runner in runners:
        timings.opened(runner)
    for sizes in workload.points:
        feed = workload.feed(sizes)
        calls = [runner.prepare(feed) for runner in runners]
        stats = timings.stats[label(sizes)]
        stats.inputs_bytes = sum(array.nbytes for array in feed.values())
        rounds, share = _rounds(benchmark.samples, number, planned), benchmark.seconds / planned
        for runner, call in zip(runners, calls, strict=True):
            with no_collection():
                begun = warm_up(call, again=number > 0)
                timings.warmed(runner, sizes, begun)
                seconds, count = LOOPS * share / len(calls), rounds and ceil(rounds * LOOPS)
                # A long call would pay for a loop of its own with every repetition.
                before_ms = begun.last_ms if begun.settled else ()
                looped = loop(call, seconds=seconds, calls=count, before_ms=before_ms)
            timings.looped(runner, sizes, looped)
        wall, computed = time.perf_counter(), time.process_time()
        taken = take_samples(
            calls, seed=workload.seed + number, seconds=(1 - LOOPS) * share, rounds=rounds
        )
        stats.cpu_seconds += time.process_time() - computed
        stats.wall_seconds += time.perf_counter() - wall
        for runner, samples_ms in zip(runners, taken, strict=True):
            timings.add(runner, sizes, samples_ms)
    if number == 0 and (other := workload.another_shape()):
        for runner in runners:
            call = runner.prepare(workload.feed(other))
            start = time.perf_counter()
            call()
            timings.first_at_new_shape(runner, (time.perf_counter() - start) * 1e3)


def _rounds(samples: int | None, number: int, planned: int) -> int | None:
    """This repetition's share of all rounds; one at least, since more repetitions may follow."""
    if samples is None:
        return None
    return max(1, samples // planned + (number < samples % planned))
