"""Leave PyTorch by one strategy."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from onnxproof.export import export_onnx
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.spec import Spec, Strategy


@task(
    name="export",
    task_run_name="export-{strategy}",
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def export(spec: Spec, work: Work, loaded: Loaded, strategy: Strategy) -> Candidate:
    """The graph that the strategy gives."""
    return export_onnx(spec, work, loaded, strategy)
