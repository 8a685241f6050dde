"""Read the proof that a registered version carries."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof import tracking
from onnxproof.records import Proof, Registration
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="describe",
    task_run_name="describe-{model}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def describe(model: str) -> tuple[Proof, Registration]:
    """Proof and registration of ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``."""
    return tracking.describe(model)
