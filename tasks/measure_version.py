"""Measure a registered version on this machine."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.promotion import measure_version as here
from onnxproof.records import Proof, Registration, VersionMeasurement, Work
from onnxproof.spec import Gates, Provider
from tasks.fleet import alone_in_the_fleet
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="measure-version",
    task_run_name="measure-version-{registration.name}-v{registration.version}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def measure_version(
    proof: Proof,
    registration: Registration,
    providers: tuple[Provider, ...],
    gates: Gates | None,
    work: Work,
) -> VersionMeasurement:
    """Parity and latency on the providers; a version that is wrong there is a result."""
    return here.measure_version(
        proof, registration, providers, gates, work, alone=partial(alone_in_the_fleet, providers)
    )
