"""Time PyTorch and every proven candidate on the same inputs, in turn, in one process."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.contenders import EAGER, Contender, open_all
from onnxproof.benchmark.exclusive import alone_on_this_machine
from onnxproof.benchmark.fingerprint import fingerprint
from onnxproof.benchmark.paired import FEWEST_ROUNDS, compare, paired_ratio
from onnxproof.benchmark.rounds import take_samples
from onnxproof.benchmark.samples_file import write_samples
from onnxproof.benchmark.summary import summarize
from onnxproof.benchmark.suspicion import suspicions
from onnxproof.child import run_in_child
from onnxproof.errors import BenchmarkError
from onnxproof.grid import Sizes, example_sizes, label
from onnxproof.libraries import noted_libraries
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Candidate, Latency, Ratio, Suspicion, Work
from onnxproof.spec import Spec


class BenchmarkRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    candidates: tuple[Candidate, ...]


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
    from onnxproof.benchmark.baseline import eager

    spec, work, candidates = request
    start = time.monotonic()
    timed = _Timed(spec)
    with ExitStack() as stack:
        models = {each.label: Path(work.path(each.model.path)) for each in candidates}
        libraries = noted_libraries(work.folder)
        sessions, skipped = open_all(spec.benchmark, work, models, libraries)
        devices = dict.fromkeys(each.device for each in sessions)
        baselines = [
            Contender(EAGER, "", prepare, binding, device)
            for device in devices or ("cpu",)
            for binding, prepare in stack.enter_context(eager(spec, work, device)).items()
        ]
        environment = fingerprint(spec.benchmark.threads)
        contenders = [*baselines, *sessions]
        racing = _races(len(baselines), contenders, len(candidates))
        for number, point in enumerate(spec.benchmark.at):
            sizes = {**example_sizes(spec.dims), **point}
            say("benchmark", label(sizes), number, len(spec.benchmark.at))
            timed.take(contenders, sizes, racing)
    return BenchmarkResult(
        latencies=tuple(latency for latency, _ in timed.taken),
        ratios=compare(timed.by_candidate()),
        speedups=tuple(timed.speedups()),
        skipped=tuple(skipped),
        suspicions=tuple(timed.suspicions),
        environment=environment,
        samples=write_samples(work, timed.taken),
        seconds=time.monotonic() - start,
    )


class _Timed:
    """Samples of every contender at every point, in the order of points."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.taken: list[tuple[Latency, list[float]]] = []
        self.suspicions: list[Suspicion] = []

    def take(self, contenders: Sequence[Contender], sizes: Sizes, races: Sequence[range]) -> None:
        from onnxproof.inputs import draw

        benchmark, seed = self.spec.benchmark, self.spec.check.seed
        feed = draw(self.spec.inputs, sizes, seed, 0)
        calls = [contender.prepare(feed) for contender in contenders]
        wall, computed = time.perf_counter(), time.process_time()
        samples_ms = take_samples(calls, benchmark, seed, races)
        share = (time.process_time() - computed) / (time.perf_counter() - wall)
        for contender, taken in zip(contenders, samples_ms, strict=True):
            latency = summarize(contender, sizes, benchmark.threads, taken)
            self.taken.append((latency, taken))
            self.suspicions += suspicions(latency, taken, feed, share)

    def by_candidate(self) -> dict[str, list[list[float]]]:
        found: dict[str, list[list[float]]] = defaultdict(list)
        for latency, taken in self.taken:
            if latency.provider:
                found[latency.contender].append(taken)
        return found

    def speedups(self) -> Iterator[Ratio]:
        """PyTorch's latency over each candidate's, on each provider, over all points."""
        places: dict[tuple[str, str], list[tuple[list[float], list[float]]]] = defaultdict(list)
        eager = {_place(each): taken for each, taken in self.taken if not each.provider}
        for latency, taken in self.taken:
            if latency.provider and (theirs := eager.get(_place(latency))) is not None:
                places[latency.contender, latency.where].append((theirs, taken))
        for (contender, where), pairs in places.items():
            eager_ms, mine_ms = ([pair[side] for pair in pairs] for side in (0, 1))
            rounds = sum(min(map(len, pair)) for pair in pairs)
            if min(len(each) for each in mine_ms) < FEWEST_ROUNDS:
                continue  # one round has no spread
            found = paired_ratio(eager_ms, mine_ms)._asdict()
            yield Ratio(contender=EAGER, over=contender, rounds=rounds, where=where, **found)


def _place(latency: Latency) -> tuple[object, ...]:
    return (*latency.dims.items(), latency.device, latency.binding)


def _races(baselines: int, contenders: Sequence[Contender], candidates: int) -> list[range]:
    """Places of the candidates on each provider and binding, which are what is chosen among."""
    if candidates < 2:
        return []
    firsts = range(baselines, len(contenders), candidates)
    return [range(first, first + candidates) for first in firsts]
