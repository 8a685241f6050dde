"""Run the simplifier on one graph."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof import simplify as simplifier
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.spec import Spec


@task(
    name="simplify",
    task_run_name="simplify-{candidate.label}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def simplify(spec: Spec, work: Work, loaded: Loaded, candidate: Candidate) -> Candidate:
    """The simplified graph, a candidate of its own."""
    return simplifier.simplify(spec, work, loaded, candidate)
