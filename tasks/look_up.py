"""Ask the registry for a version with the same proof key."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.records import Registration
from onnxproof.tracking import find_version
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="look-up",
    task_run_name="look-up-{name}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def look_up(name: str, key: str) -> Registration | None:
    """The registered version with this proof key; None when there is none."""
    return find_version(name, key)
