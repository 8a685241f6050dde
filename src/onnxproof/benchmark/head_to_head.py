"""Two models timed in turn, over repetitions, until every gate is decided."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.profile import Profiled, profiles
from onnxproof.benchmark.recorder import Measurement
from onnxproof.benchmark.repetitions import Workload, repeat
from onnxproof.benchmark.runners import Runner, open_all
from onnxproof.benchmark.throughput import throughput
from onnxproof.benchmark.timings import Timings, together
from onnxproof.gates.promotion import undecided
from onnxproof.graph.source_map import modules_named_in
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Ratio, Work
from onnxproof.samples.grid import label
from onnxproof.spec import Gates


class HeadToHeadRequest(NamedTuple):
    """What the child gets."""

    workload: Workload
    work: Work
    models: Mapping[str, Path]  # ONNX files by name; the ratio is of the first over the second
    gates: Gates = Gates(max_latency_regression=None)
    needs: tuple[str, ...] = ()  # what gives the libraries of operators, as ``export.needs``
    profiled: bool = False  # whether to look where time goes, too


class HeadToHead(NamedTuple):
    """What was timed; ``ratios`` of the result are those of the first over the second."""

    result: BenchmarkResult
    samples_ms: dict[str, list[float]]  # of the first, by provider and point
    repetitions: int


def compare_models(request: HeadToHeadRequest) -> HeadToHead:
    """In the child: time the repetitions of the budget, and more while a gate is undecided.

    ``gates.longest_seconds`` ends them.
    """
    from onnxproof.usercode.libraries import find_libraries

    workload, work, models, gates, needs, profiled = request
    libraries = find_libraries(needs, work)
    measurement = Measurement(workload, work, models)
    start, timings, names = time.monotonic(), measurement.timings, " against ".join(models)

    def open_runners(number: int) -> Sequence[Runner]:
        opened = open_all(workload.benchmark, work, models, libraries, backwards=bool(number % 2))
        if number == 0:
            measurement.skipped += opened.skipped
        return opened.runners

    def enough(done: int) -> bool:
        spent = time.monotonic() - start
        longest = gates.longest_seconds * (1 - 1 / done)  # one more has to fit
        found = _ratios(timings, models), _samples(timings, models)
        return spent > longest or not undecided(gates, *found)

    repetitions = repeat(
        workload,
        open_runners,
        timings,
        announce=lambda done, planned: say("compare", names, done, planned),
        enough=enough,
    )
    measurement.throughput = tuple(throughput(workload, lambda: open_runners(repetitions)))
    if profiled:
        say("compare", f"profile of {names}")
        profiled_models = [
            Profiled(name, path, modules_named_in(path)) for name, path in models.items()
        ]
        ran = {latency.provider for latency in timings.latencies()}
        providers = [provider for provider in workload.benchmark.providers if provider.name in ran]
        measurement.profiles = tuple(
            profiles(workload, work, profiled_models, providers, libraries)
        )
    result = measurement.result(_ratios(timings, models))
    return HeadToHead(result, _samples(timings, models), repetitions)


def _ratios(timings: Timings, models: Mapping[str, Path]) -> tuple[Ratio, ...]:
    """Of the first over the second, one a place."""
    if len(models) < 2:
        return ()
    first, second = models
    wheres = dict.fromkeys(where for _, where in timings.runners)
    found = (timings.ratio((first, where), (second, where)) for where in wheres)
    return tuple(ratio for ratio in found if ratio is not None)


def _samples(timings: Timings, models: Mapping[str, Path]) -> dict[str, list[float]]:
    first = next(iter(models))
    return {
        f"{label(latency.dims)} on {latency.where}": together(repetitions)
        for latency, repetitions in timings.rows()
        if latency.runner == first
    }
