"""Time PyTorch and every proven candidate on the same inputs, in turn, in one process.

A machine's speed drifts over seconds, so the contenders take turns in shuffled rounds: what slows
one round slows all of them, and the ratios of a round hold where the milliseconds do not.
Candidates that half of the time has shown to be slower leave their turns to those that are close.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from onnxproof.child import run_in_child
from onnxproof.errors import BenchmarkError
from onnxproof.exclusive import alone_on_this_machine
from onnxproof.grid import Sizes, example_sizes, label
from onnxproof.inputs import Feed
from onnxproof.paired import compare
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Candidate, Latency, Verdict, Work
from onnxproof.spec import BenchmarkSpec, Spec

EAGER: Final = "pytorch eager"
WARMUP_CALLS: Final = 3
WARMUP_SECONDS: Final = 0.05
"""Turns are shuffled, so a call that warms up late slows no other; this keeps it out of p90."""
MAX_ROUNDS: Final = 10_000
FEWEST_ROUNDS: Final = 2
HEAT_ROUNDS: Final = 10
"""Before a candidate may leave: the least from which a 95 % interval means what it says."""
FINAL_ROUNDS: Final = 20
"""For those that stay, also where the budget is used up: fewer cannot tell 5 % from noise."""
FEWEST_FOR_P90: Final = 10


class BenchmarkRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    candidates: tuple[Candidate, ...]


class Contender(NamedTuple):
    """Something to time: given a feed, ``prepare`` gives a call without arguments."""

    label: str
    provider: str
    prepare: Callable[[Feed], Callable[[], object]]


def measure(spec: Spec, work: Work, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
    """Latency of PyTorch eager and of each candidate on each provider, at each point of ``at``.

    Raises:
        BenchmarkError: A required provider is not there, or the child failed.
    """
    with alone_on_this_machine(lambda: say("benchmark", "wait for another benchmark to end")):
        return run_in_child(
            measure_in_child,
            BenchmarkRequest(spec, work, candidates),
            failed=BenchmarkError,
            limits=spec.limits,
            log=Path(work.path("logs", "benchmark.log")),
            doing=f"benchmark {', '.join(each.label for each in candidates)} and PyTorch",
        )


def measure_in_child(request: BenchmarkRequest) -> BenchmarkResult:
    """In the child: open everything, then time it."""
    from onnxproof.baseline import eager
    from onnxproof.inputs import draw

    spec, work, candidates = request
    start = time.monotonic()
    latencies: list[Latency] = []
    samples: dict[str, list[list[float]]] = defaultdict(list)
    with eager(spec, work) as baseline:
        sessions, skipped = _open_all(spec.benchmark, work, candidates)
        contenders = [Contender(EAGER, "", baseline), *sessions]
        for number, point in enumerate(spec.benchmark.at):
            sizes = {**example_sizes(spec.dims), **point}
            say("benchmark", label(sizes), number, len(spec.benchmark.at))
            feed = draw(spec.inputs, sizes, spec.check.seed, 0)
            calls = [contender.prepare(feed) for contender in contenders]
            racing = _races(contenders, len(candidates))
            samples_ms = take_samples(calls, spec.benchmark, spec.check.seed, racing)
            for contender, taken in zip(contenders, samples_ms, strict=True):
                latencies.append(summarize(contender, sizes, spec.benchmark.threads, taken))
                if contender.provider:
                    samples[contender.label].append(taken)
    return BenchmarkResult(
        latencies=tuple(latencies),
        ratios=compare(samples),
        skipped=tuple(skipped),
        seconds=time.monotonic() - start,
    )


def _races(contenders: Sequence[Contender], candidates: int) -> list[range]:
    """Places of the candidates on each provider, which are what is chosen among."""
    if candidates < 2:
        return []
    return [range(first, first + candidates) for first in range(1, len(contenders), candidates)]


def take_samples(
    calls: Sequence[Callable[[], object]],
    benchmark: BenchmarkSpec,
    seed: int,
    races: Sequence[Collection[int]] = (),
) -> list[list[float]]:
    """Milliseconds of each call, one list a contender, in order of rounds.

    All have one length, except that calls of one race which were shown to be slower than another of
    it when half of ``benchmark.seconds`` is over take part no more.
    """
    for call in calls:
        _warm_up(call)
    samples: list[list[float]] = [[] for _ in calls]
    order = list(range(len(calls)))
    shuffle = random.Random(seed).shuffle  # noqa: S311  # an order of turns is no secret
    fewest = FINAL_ROUNDS if races else FEWEST_ROUNDS
    start = time.monotonic()
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection inside one contender's turn is counted as its own
    try:
        for done in range(benchmark.samples or MAX_ROUNDS):
            used = time.monotonic() - start
            if benchmark.samples is None:
                if used > benchmark.seconds and done >= fewest:
                    break
                if races and used > benchmark.seconds / 2 and done >= HEAT_ROUNDS:
                    slower = {index for race in races for index in _slower(race, samples)}
                    order = [index for index in order if index not in slower]
                    races = ()
            shuffle(order)
            for index in order:
                before = time.perf_counter_ns()
                calls[index]()
                samples[index].append((time.perf_counter_ns() - before) / 1e6)
    finally:
        if collecting:
            gc.enable()
    return samples


def _slower(race: Collection[int], samples: Sequence[Sequence[float]]) -> list[int]:
    """Those of a race whose interval lies above that of its fastest."""
    ratios = compare({str(index): [samples[index]] for index in race})
    return [int(each.contender) for each in ratios if each.low > 1]


def summarize(
    contender: Contender, sizes: Sizes, threads: int, samples_ms: Sequence[float]
) -> Latency:
    """Median and what else the number of samples supports."""
    enough = len(samples_ms) >= FEWEST_FOR_P90
    return Latency(
        contender=contender.label,
        provider=contender.provider,
        dims=sizes,
        threads=threads,
        samples=len(samples_ms),
        p50_ms=statistics.median(samples_ms),
        p90_ms=statistics.quantiles(samples_ms, n=10)[-1] if enough else None,
        min_ms=min(samples_ms),
        mean_ms=statistics.fmean(samples_ms),
    )


def _open_all(
    benchmark: BenchmarkSpec, work: Work, candidates: Sequence[Candidate]
) -> tuple[list[Contender], list[Verdict]]:
    from onnxproof.libraries import noted_libraries
    from onnxproof.runtime import open_session

    contenders: list[Contender] = []
    skipped: list[Verdict] = []
    for provider in benchmark.providers:
        opened = []
        try:
            for candidate in candidates:
                session = open_session(
                    Path(work.path(candidate.model.path)),
                    provider.name,
                    options=provider.options,
                    threads=benchmark.threads,
                    libraries=noted_libraries(work.folder),
                )
                opened.append(Contender(candidate.label, provider.name, session.prepare))
        except Exception as error:  # ours, or one of the provider's own
            if provider.required:
                raise
            skipped.append(Verdict(name=provider.name, outcome="skipped", reason=str(error)))
        else:
            contenders += opened
    return contenders, skipped


def _warm_up(call: Callable[[], object]) -> None:
    start, calls = time.monotonic(), 0
    while calls < WARMUP_CALLS or time.monotonic() - start < WARMUP_SECONDS:
        call()
        calls += 1
