"""Leave PyTorch by one strategy."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from onnxproof.export.stage import export_onnx
from onnxproof.records import Candidate, Loaded, Work, label_of
from onnxproof.spec import Spec, Strategy


def _run_name() -> str:
    given = task_run.get_parameters()
    return f"export-{label_of(given['strategy'], variant=given['variant'])}"


@task(
    name="export",
    task_run_name=_run_name,
    retries=0,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def export(spec: Spec, work: Work, loaded: Loaded, strategy: Strategy, variant: str) -> Candidate:
    """The graph that the strategy gives."""
    return export_onnx(spec, work, loaded, strategy, variant)
