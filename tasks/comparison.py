"""Hold a registered version against the champion."""

from __future__ import annotations

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.promotion.comparison import compare_with_champion
from onnxproof.records import Comparison, MeasuredElsewhere, Registration, Work
from onnxproof.spec import Spec
from tasks.fleet import alone_in_the_fleet
from tasks.policy import MLFLOW_DELAYS, MLFLOW_RETRIES, server_was_away


@task(
    name="comparison",
    task_run_name="comparison-{registration.name}-v{registration.version}",
    retries=MLFLOW_RETRIES,
    retry_delay_seconds=MLFLOW_DELAYS,
    retry_condition_fn=server_was_away,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def comparison(
    spec: Spec, work: Work, registration: Registration, elsewhere: tuple[MeasuredElsewhere, ...]
) -> Comparison:
    """What the gates of a promotion say; a gate that failed is a result, not a failed task."""
    return compare_with_champion(
        spec,
        work,
        registration,
        elsewhere,
        alone=partial(alone_in_the_fleet, spec.benchmark.providers),
    )
