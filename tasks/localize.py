"""Find where a graph that failed parity goes wrong."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.localize.stage import localize as find_divergence
from onnxproof.records import Candidate, CheckResult, Divergence, Loaded, Work
from onnxproof.spec import Spec


@task(
    name="localize",
    task_run_name="localize-{candidate.label}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def localize(
    spec: Spec,
    work: Work,
    loaded: Loaded,
    candidate: Candidate,
    check: CheckResult,
    plain: Candidate | None,
) -> Divergence:
    """The first wrong node, its module and its line; what could not be found is no failure."""
    return find_divergence(spec, work, loaded, candidate, check, plain)
