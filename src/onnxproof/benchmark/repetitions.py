"""A sitting: open everything anew, warm it up, and let it take turns at every point."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

from onnxproof.benchmark.rounds import loop, no_collection, take_samples
from onnxproof.benchmark.runners import Contender
from onnxproof.benchmark.timings import Timings
from onnxproof.benchmark.warmup import warm_up
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import Sizes, example_sizes, label, shape_grid
from onnxproof.spec import BenchmarkSpec, Limits, Spec
from onnxproof.spec.dims import Dim
from onnxproof.spec.inputs import InputSpec

SITTINGS: Final = 20
"""How far they spread depends little on how long they are, so many short ones tell most."""
LOOPS: Final = 0.3
"""Of the time, for loops of each contender's own; the rest is for turns."""
FEWEST_SITTINGS: Final = 6
"""Where opening takes longer than timing, or the spec says how many rounds there are. An even
number, since who is opened first takes turns."""


class Course(NamedTuple):
    """What contenders are given, and for how long; of a spec, or of an ONNX file alone."""

    inputs: Mapping[str, InputSpec]
    dims: Mapping[str, Dim]
    benchmark: BenchmarkSpec
    seed: int = 0
    limits: Limits = Limits()

    @classmethod
    def of(cls, spec: Spec) -> Course:
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


def hold(
    course: Course,
    open_contenders: Callable[[int], Sequence[Contender]],
    timings: Timings,
    *,
    announce: Callable[[int, int], None],
    enough: Callable[[int], bool] = lambda _: True,
) -> int:
    """Sit down twenty times, fewer where opening takes its time, and again until it is enough.

    Args:
        course: All of them have the same.
        open_contenders: For the sitting of this number.
        timings: Take what is seen.
        announce: Told the number of a sitting, and of how many.
        enough: Asked after the planned ones, with how many there were.

    Returns:
        How many there were.
    """
    from onnxproof.runtime import available_providers

    available_providers()  # importing ONNX Runtime is no part of the first sitting
    gc.collect()
    gc.freeze()  # what is there, torch above all, would take 0.2 s of every collection
    asked = course.benchmark.samples
    planned = SITTINGS if asked is None else min(FEWEST_SITTINGS, asked)
    done = 0
    while done < planned or not enough(done):
        announce(done, planned)
        start, timed = time.monotonic(), timings.wall_seconds
        contenders = open_contenders(done)
        _sit(course, contenders, timings, done, planned)
        del contenders
        gc.collect()  # the sessions, before there are others
        done += 1
        if done == 2 and asked is None:  # the first loads PyTorch's module too
            besides = time.monotonic() - start - (timings.wall_seconds - timed)
            worth = int(course.benchmark.seconds * len(course.points) / max(besides, 1e-3))
            planned = max(FEWEST_SITTINGS, min(planned, worth - worth % 2))
    return done


def _sit(
    course: Course, contenders: Sequence[Contender], timings: Timings, number: int, planned: int
) -> None:
    benchmark = course.benchmark
    for contender in contenders:
        timings.opened(contender)
    for sizes in course.points:
        feed = course.feed(sizes)
        calls = [contender.prepare(feed) for contender in contenders]
        looked = timings.looked[label(sizes)]
        looked.inputs_bytes = sum(array.nbytes for array in feed.values())
        rounds, share = _rounds(benchmark.samples, number, planned), benchmark.seconds / planned
        for contender, call in zip(contenders, calls, strict=True):
            with no_collection():
                begun = warm_up(call, again=number > 0)
                timings.warmed(contender, sizes, begun)
                seconds, count = LOOPS * share / len(calls), rounds and ceil(rounds * LOOPS)
                # A long call would pay for a loop of its own with every sitting.
                before_ms = begun.last_ms if begun.settled else ()
                looped = loop(call, seconds=seconds, calls=count, before_ms=before_ms)
            timings.looped(contender, sizes, looped)
        wall, computed = time.perf_counter(), time.process_time()
        taken = take_samples(
            calls, seed=course.seed + number, seconds=(1 - LOOPS) * share, rounds=rounds
        )
        looked.cpu_seconds += time.process_time() - computed
        looked.wall_seconds += time.perf_counter() - wall
        for contender, samples_ms in zip(contenders, taken, strict=True):
            timings.add(contender, sizes, samples_ms)
    if number == 0 and (other := course.another_shape()):
        for contender in contenders:
            call = contender.prepare(course.feed(other))
            start = time.perf_counter()
            call()
            timings.first_at_new_shape(contender, (time.perf_counter() - start) * 1e3)


def _rounds(samples: int | None, number: int, planned: int) -> int | None:
    """This sitting's share of all rounds; one at least, since more sittings may follow."""
    if samples is None:
        return None
    return max(1, samples // planned + (number < samples % planned))
