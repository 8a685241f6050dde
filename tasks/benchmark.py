"""Time the proven graphs and PyTorch in turn."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.benchmark.stage import measure
from onnxproof.records import BenchmarkResult, Candidate, Work
from onnxproof.spec import Spec
from tasks.fleet import alone_in_the_fleet


@task(
    name="benchmark",
    task_run_name="benchmark-{spec.name}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def benchmark(spec: Spec, work: Work, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
    """Latencies of every runner."""
    return measure(
        spec, work, candidates, alone=partial(alone_in_the_fleet, spec.benchmark.providers)
    )
