"""What times models: with a slot of every device, so that nothing else is timed there meanwhile."""

from __future__ import annotations

from functools import partial

from onnxproof.benchmark.stage import measure
from onnxproof.promotion import version_measurement as measuring
from onnxproof.promotion.champion_comparison import compare_with_champion
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    Comparison,
    MeasuredElsewhere,
    Proof,
    Registration,
    Run,
    VersionMeasurement,
    Work,
)
from onnxproof.spec import Gates, Provider, Spec
from tasks.device_slots import device_slots
from tasks.retry_policy import registry_task, stage_task


def _benchmark(run: Run, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
    """Latencies of PyTorch and of each candidate."""
    return measure(run, candidates, alone=partial(device_slots, run.spec.benchmark.providers))


def _compare(
    spec: Spec,
    work: Work,
    registration: Registration,
    elsewhere: tuple[MeasuredElsewhere, ...] = (),
) -> Comparison:
    """What the gates of a promotion say; a gate that failed is a result, not a failed task."""
    alone = partial(device_slots, spec.benchmark.providers)
    return compare_with_champion(spec, work, registration, elsewhere, alone=alone)


def _measure_version(
    proof: Proof,
    registration: Registration,
    providers: tuple[Provider, ...],
    gates: Gates | None,
    work: Work,
) -> VersionMeasurement:
    """Parity and latency on this machine; a version that is wrong here is a result."""
    alone = partial(device_slots, providers)
    return measuring.measure_version(proof, registration, providers, gates, work, alone=alone)


benchmark = stage_task(_benchmark, name="benchmark", run_name="benchmark-{run.spec.name}")
compare = registry_task(
    _compare, name="compare", run_name="compare-{registration.name}-v{registration.version}"
)
measure_version = registry_task(
    _measure_version,
    name="measure-version",
    run_name="measure-version-{registration.name}-v{registration.version}",
)
