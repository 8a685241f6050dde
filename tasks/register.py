"""Make the registry version, once the registry's own copy has been replayed."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof import tracking
from onnxproof.records import Proof, Registration
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="register",
    task_run_name="register-{proof.name}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def register(proof: Proof, folder: Path) -> Registration:
    """The new version, with the alias ``challenger``."""
    return tracking.register(proof, folder)
