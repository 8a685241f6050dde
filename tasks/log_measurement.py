"""Log what was measured of a version to the run that registered it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof import tracking
from onnxproof.records import Registration, VersionMeasurement, Work
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="log-measurement",
    task_run_name="log-measurement-{registration.name}-v{registration.version}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def log_measurement(
    registration: Registration, measurement: VersionMeasurement, work: Work, label: str
) -> str:
    """Where its files are below the artifacts of the run."""
    return tracking.log_measurement(registration, measurement, work, label)
