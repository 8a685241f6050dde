"""Put the proof together."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.pipeline.conclude import conclude as write_proof
from onnxproof.records import Loaded, Proof, SearchResult, Work
from onnxproof.spec import Spec


@task(
    name="conclude",
    task_run_name="conclude-{spec.name}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def conclude(spec: Spec, work: Work, key: str, loaded: Loaded, search: SearchResult) -> Proof:
    """The proof of the chosen candidate; raises when nothing was proven."""
    return write_proof(spec, work, key, loaded, search)
