"""One measurement in a child: the machine when it began, and in the end all that was found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxproof.benchmark.environment import fingerprint
from onnxproof.benchmark.quality_warnings import faster_than_arithmetic, slower_in_less_precision
from onnxproof.benchmark.repetitions import Workload
from onnxproof.benchmark.samples_file import write_samples
from onnxproof.benchmark.throttling import Throttling, throttled
from onnxproof.benchmark.timings import Timings
from onnxproof.errors import BenchmarkError
from onnxproof.records import (
    BenchmarkResult,
    Environment,
    Profile,
    Ratio,
    Throughput,
    Verdict,
    Work,
)
from onnxproof.spec import BenchmarkSpec


@dataclass(slots=True)
class Measurement:
    """From its beginning to its result; the process stays on ``benchmark.cpus`` from here on."""

    workload: Workload
    work: Work
    models: Mapping[str, Path]  # ONNX files by label
    timings: Timings = field(init=False)
    environment: Environment = field(init=False)
    skipped: list[Verdict] = field(default_factory=list)
    throughput: Sequence[Throughput] = ()
    profiles: Sequence[Profile] = ()
    _start: float = field(init=False)
    _before: Throttling = field(init=False)

    def __post_init__(self) -> None:
        """Look at the machine."""
        self._start = time.monotonic()
        pin(self.workload.benchmark)
        self.timings = Timings(self.workload.benchmark.threads)
        self.environment = fingerprint(self.workload.benchmark.threads)
        self._before = Throttling.now()

    def result(self, ratios: Sequence[Ratio], speedups: Iterable[Ratio] = ()) -> BenchmarkResult:
        """Everything, with what is odd about it; the samples are written down."""
        latencies = self.timings.latencies()
        odd = (
            *self.timings.quality_warnings(),
            *slower_in_less_precision(ratios, self.models),
            *faster_than_arithmetic(latencies, self.profiles, self.workload.points[0]),
            *throttled(self._before, Throttling.now()),
        )
        return BenchmarkResult(
            latencies=latencies,
            ratios=tuple(ratios),
            speedups=tuple(speedups),
            startups=tuple(self.timings.startups()),
            throughput=tuple(self.throughput),
            profiles=tuple(self.profiles),
            skipped=tuple(self.skipped),
            quality_warnings=odd,
            environment=self.environment,
            samples=write_samples(self.work, self.timings.parts()),
            seconds=time.monotonic() - self._start,
        )


def pin(benchmark: BenchmarkSpec) -> None:
    """Keep this process on the processors of the spec; threads that come later inherit it.

    Raises:
        BenchmarkError: One of them is not there.
    """
    if benchmark.cpus is None:
        return
    allowed = os.sched_getaffinity(0)
    if missing := sorted(set(benchmark.cpus) - allowed):
        raise BenchmarkError(
            f"asked for benchmark.cpus {list(benchmark.cpus)}, this process may not use "
            f"{missing}; it may use {sorted(allowed)}"
        )
    os.sched_setaffinity(0, benchmark.cpus)
