"""Build the module, and save PyTorch's outputs as the reference."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.pipeline.load import load_source
from onnxproof.records import Loaded, Work
from onnxproof.spec import Spec


@task(
    name="load",
    task_run_name="load-{spec.name}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def load(spec: Spec, work: Work) -> Loaded:
    """The module's facts and its reference."""
    return load_source(spec, work)
