"""Run a simplifier on one graph."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.records import Candidate, Loaded, Simplifier, Work
from onnxproof.simplify.stage import simplify as run_simplifier
from onnxproof.spec import Spec


@task(
    name="simplify",
    task_run_name="simplify-{candidate.label}+{simplifier}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def simplify(
    spec: Spec, work: Work, loaded: Loaded, candidate: Candidate, simplifier: Simplifier
) -> Candidate:
    """The simplified graph, a candidate of its own."""
    return run_simplifier(spec, work, loaded, candidate, simplifier)
