"""Move the alias ``champion``, last of all."""

from __future__ import annotations

from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof import tracking
from onnxproof.records import Comparison, Registration
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="promote",
    task_run_name="promote-{registration.name}-v{registration.version}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def promote(
    registration: Registration, mode: Literal["auto", "never"], comparison: Comparison | None
) -> Registration:
    """The version, with the aliases it has afterwards."""
    return tracking.promote(registration, mode, comparison)
