"""Time PyTorch and every proven candidate on the same inputs, in turn, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from onnxproof.benchmark.memory import Stored, memory_of
from onnxproof.benchmark.profile import Profiled, profiles
from onnxproof.benchmark.pytorch import Baseline, baseline
from onnxproof.benchmark.recorder import Measurement
from onnxproof.benchmark.repetitions import Workload, repeat
from onnxproof.benchmark.runners import COMPILED, EAGER, Opened, Runner, open_all
from onnxproof.benchmark.throughput import throughput
from onnxproof.benchmark.timings import Timings
from onnxproof.errors import BenchmarkError, one_line
from onnxproof.graph.source_map import modules_of
from onnxproof.isolation.child import run_in_child
from onnxproof.isolation.machine_lock import alone_on_this_machine
from onnxproof.progress import say
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    Profile,
    Ratio,
    Run,
    Verdict,
    Work,
    label_of,
)
from onnxproof.spec import Spec
from onnxproof.usercode.libraries import noted_libraries

FEWEST_TO_LEAVE: Final = 3
"""Repetitions after which a candidate that is clearly slower is dropped."""


def measure(
    run: Run,
    candidates: tuple[Candidate, ...],
    *,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> BenchmarkResult:
    """Latency of PyTorch eager and of each candidate on each provider, at each point of ``at``.

    What is run is run inside of ``alone``, and of the lock of this machine.

    Raises:
        BenchmarkError: A required provider is not there, or the child failed.
    """
    spec, work = run.spec, run.work
    waiting = partial(say, "benchmark", "wait for another benchmark to end")
    with alone(), alone_on_this_machine(waiting):
        result = run_in_child(
            measure_in_child,
            spec,
            work,
            candidates,
            failed=BenchmarkError,
            limits=spec.limits,
            log=Path(work.path("logs", "benchmark.log")),
            doing=f"benchmark {', '.join(candidate.label for candidate in candidates)} and PyTorch",
        )
        models = {
            candidate.label: Stored(Path(work.path(candidate.model.path)), candidate.size_bytes)
            for candidate in candidates
        }
        start = time.monotonic()
        weighed = memory_of(result, Workload.of(spec), work, models)
        seconds = result.seconds + time.monotonic() - start
        return weighed.model_copy(update={"seconds": seconds})


def measure_in_child(spec: Spec, work: Work, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
    """In the child: open everything and time it, once for each repetition."""
    models = {candidate.label: Path(work.path(candidate.model.path)) for candidate in candidates}
    measurement = Measurement(Workload.of(spec), work, models)
    names, timings = ", ".join(models), measurement.timings
    with ExitStack() as stack:
        runners = _Runners(spec, work, candidates, measurement, stack)
        repeat(
            measurement.workload,
            runners.open,
            timings,
            announce=lambda done, planned: say("benchmark", f"{names}, PyTorch", done, planned),
        )
        measurement.throughput = tuple(throughput(measurement.workload, runners.reopen))
    say("benchmark", f"profile of {names}")
    measurement.profiles = tuple(runners.profiles())
    return measurement.result(timings.over_fastest(), _speedups(timings))


class _Runners:
    """PyTorch and the candidates, opened anew for each repetition."""

    def __init__(
        self,
        spec: Spec,
        work: Work,
        candidates: tuple[Candidate, ...],
        measurement: Measurement,
        stack: ExitStack,
    ) -> None:
        self.spec, self.work, self.candidates, self.stack = spec, work, candidates, stack
        self.workload, self.timings = measurement.workload, measurement.timings
        self.skipped = measurement.skipped
        self.models = dict(measurement.models)
        self.libraries = noted_libraries(work.folder)
        self.benchmark = spec.benchmark
        self.baselines: list[Baseline] = []
        self.pytorch: list[Runner] = []

    def open(self, number: int) -> Sequence[Runner]:
        """The runners of a repetition, without candidates that were shown to be slower.

        PyTorch's weights move before the sessions are opened or after, in turn, as the sessions
        themselves are opened in turn from either end.
        """
        backwards = bool(number % 2)
        if number >= FEWEST_TO_LEAVE:
            slower = {ratio.runner for ratio in self.timings.over_fastest() if ratio.low > 1}
            self.models = {name: path for name, path in self.models.items() if name not in slower}
        if not backwards:
            self._move()
        opened = self._sessions(backwards=backwards)
        if number == 0:
            self._begin(opened)
        if backwards:
            self._move()
        return [*self.pytorch, *opened.runners]

    def reopen(self) -> Sequence[Runner]:
        """Once more, what was left at the end."""
        return [*self.pytorch, *self._sessions(backwards=False).runners]

    def profiles(self) -> Iterator[Profile]:
        """Where the time of each candidate goes, on every provider that started."""
        models = [
            Profiled(
                candidate.label,
                self.models[candidate.label],
                modules_of(self.work, label_of(candidate.strategy, variant=candidate.variant)),
            )
            for candidate in self.candidates
            if candidate.label in self.models
        ]
        providers = self.benchmark.providers
        return profiles(self.workload, self.work, models, providers, self.libraries)

    def _sessions(self, *, backwards: bool) -> Opened:
        return open_all(self.benchmark, self.work, self.models, self.libraries, backwards=backwards)

    def _begin(self, opened: Opened) -> None:
        self.skipped += opened.skipped
        self.benchmark = self.benchmark.model_copy(update={"providers": opened.providers})
        devices = dict.fromkeys(runner.device for runner in opened.runners)
        for device in devices or ("cpu",):
            found = self.stack.enter_context(baseline(self.spec, self.work, device))
            if found is not None:
                self.baselines.append(found)
                self.pytorch += found.eager()
                if self.benchmark.torch_compile:
                    self.pytorch += self._compiled(found)

    def _compiled(self, found: Baseline) -> list[Runner]:
        """Those of ``torch.compile``; none, and the reason, where the first call fails."""
        runners, sizes = found.compiled(), self.workload.points[0]
        say("benchmark", "torch.compile")
        try:
            for runner in runners:
                start = time.perf_counter()
                runner.prepare(self.workload.feed(sizes))()
                self.timings.first_run(runner, (time.perf_counter() - start) * 1e3)
        except Exception as error:  # no compiler on this machine, or a model that it breaks on
            reason = one_line(error)
            self.skipped.append(Verdict(name=COMPILED, outcome="skipped", reason=reason))
            return []
        return runners

    def _move(self) -> None:
        for eager in self.baselines:
            eager.move_weights()


def _speedups(timings: Timings) -> Iterator[Ratio]:
    """PyTorch's latency over each candidate's, in each place, over all points."""
    eager = {
        (runner.device, runner.binding): key
        for key, runner in timings.runners.items()
        if runner.label == EAGER
    }
    for key, runner in timings.runners.items():
        base = eager.get((runner.device, runner.binding))
        if runner.provider and base is not None and (found := timings.ratio(base, key)):
            yield found
