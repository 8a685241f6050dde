"""Two models in turn, in several sittings, until what they are asked is settled."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.profile import Profiled, profiles
from onnxproof.benchmark.recorder import Measurement
from onnxproof.benchmark.repetitions import Course, hold
from onnxproof.benchmark.runners import Contender, open_all
from onnxproof.benchmark.throughput import throughput
from onnxproof.benchmark.timings import Timings, together
from onnxproof.gates.promotion import undecided
from onnxproof.graph.source_map import modules_told_by
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Ratio, Work
from onnxproof.samples.grid import label
from onnxproof.spec import Gates


class DuelRequest(NamedTuple):
    """What the child gets."""

    course: Course
    work: Work
    models: Mapping[str, Path]  # ONNX files by name; the ratio is of the first over the second
    gates: Gates = Gates(max_latency_regression=None)
    needs: tuple[str, ...] = ()  # what gives the libraries of operators, as ``export.needs``
    profiled: bool = False  # whether to look where time goes, too


class Duel(NamedTuple):
    """What was timed; ``ratios`` of the result are those of the first over the second."""

    result: BenchmarkResult
    samples_ms: dict[str, list[float]]  # of the first, by provider and point
    sittings: int


def fight(request: DuelRequest) -> Duel:
    """In the child: hold the sittings that the budget has, and more while a gate is open.

    ``gates.longest_seconds`` ends them.
    """
    from onnxproof.usercode.libraries import find_libraries

    course, work, models, gates, needs, profiled = request
    libraries = find_libraries(needs, work)
    measurement = Measurement(course, work, models)
    start, timings, names = time.monotonic(), measurement.timings, " against ".join(models)

    def open_contenders(number: int) -> Sequence[Contender]:
        opened = open_all(course.benchmark, work, models, libraries, backwards=bool(number % 2))
        if number == 0:
            measurement.skipped += opened.skipped
        return opened.contenders

    def enough(done: int) -> bool:
        spent = time.monotonic() - start
        longest = gates.longest_seconds * (1 - 1 / done)  # one more has to fit
        found = _ratios(timings, models), _samples(timings, models)
        return spent > longest or not undecided(gates, *found)

    sittings = hold(
        course,
        open_contenders,
        timings,
        announce=lambda done, planned: say("trial", names, done, planned),
        enough=enough,
    )
    measurement.throughput = tuple(throughput(course, lambda: open_contenders(sittings)))
    if profiled:
        say("trial", f"profile of {names}")
        looked = [Profiled(name, path, modules_told_by(path)) for name, path in models.items()]
        ran = {latency.provider for latency in timings.latencies()}
        providers = [provider for provider in course.benchmark.providers if provider.name in ran]
        measurement.profiles = tuple(profiles(course, work, looked, providers, libraries))
    result = measurement.result(_ratios(timings, models))
    return Duel(result, _samples(timings, models), sittings)


def _ratios(timings: Timings, models: Mapping[str, Path]) -> tuple[Ratio, ...]:
    """Of the first over the second, one a place."""
    if len(models) < 2:
        return ()
    first, second = models
    places = dict.fromkeys(where for _, where in timings.contenders)
    found = (timings.ratio((first, where), (second, where)) for where in places)
    return tuple(ratio for ratio in found if ratio is not None)


def _samples(timings: Timings, models: Mapping[str, Path]) -> dict[str, list[float]]:
    first = next(iter(models))
    return {
        f"{label(latency.dims)} on {latency.where}": together(sittings)
        for latency, sittings in timings.rows()
        if latency.contender == first
    }
