"""Time PyTorch and every proven candidate on the same inputs, in turn, in one process."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.contenders import EAGER, Contender, open_all
from onnxproof.benchmark.exclusive import alone_on_this_machine
from onnxproof.benchmark.paired import compare
from onnxproof.benchmark.rounds import take_samples
from onnxproof.benchmark.summary import summarize
from onnxproof.child import run_in_child
from onnxproof.errors import BenchmarkError
from onnxproof.grid import example_sizes, label
from onnxproof.libraries import noted_libraries
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Candidate, Latency, Work
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
    from onnxproof.inputs import draw

    spec, work, candidates = request
    start = time.monotonic()
    latencies: list[Latency] = []
    samples: dict[str, list[list[float]]] = defaultdict(list)
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
        contenders = [*baselines, *sessions]
        for number, point in enumerate(spec.benchmark.at):
            sizes = {**example_sizes(spec.dims), **point}
            say("benchmark", label(sizes), number, len(spec.benchmark.at))
            feed = draw(spec.inputs, sizes, spec.check.seed, 0)
            calls = [contender.prepare(feed) for contender in contenders]
            racing = _races(len(baselines), contenders, len(candidates))
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


def _races(baselines: int, contenders: Sequence[Contender], candidates: int) -> list[range]:
    """Places of the candidates on each provider and binding, which are what is chosen among."""
    if candidates < 2:
        return []
    firsts = range(baselines, len(contenders), candidates)
    return [range(first, first + candidates) for first in firsts]
