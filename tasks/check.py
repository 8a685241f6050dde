"""Hold one graph against the reference."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.check.stage import check_candidate
from onnxproof.records import Candidate, CheckResult, Loaded, Work
from onnxproof.spec import Spec


@task(
    name="check",
    task_run_name="check-{candidate.label}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def check(spec: Spec, work: Work, loaded: Loaded, candidate: Candidate) -> CheckResult:
    """Verdicts on the graph; a failed verdict is a result, not a failed task."""
    return check_candidate(spec, work, loaded, candidate)
