"""Have another machine measure a registered version."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.records import MeasuredElsewhere, Registration
from onnxproof.spec import Elsewhere, Gates
from tasks.fleet import measured_by


@task(
    name="measure-elsewhere",
    task_run_name="measure-elsewhere-{asked.deployment}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def measure_elsewhere(
    asked: Elsewhere, registration: Registration, gates: Gates
) -> MeasuredElsewhere:
    """What the deployment logged; what could not be measured is skipped where it may be."""
    return measured_by(asked, registration, gates)
