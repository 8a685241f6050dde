"""The stages of a run that need no server and no device of their own."""

from __future__ import annotations

from prefect.runtime import task_run

from onnxproof.check.stage import check_candidate
from onnxproof.export.stage import export_onnx
from onnxproof.localize import stage as localize_stage
from onnxproof.pipeline import conclude as conclude_stage
from onnxproof.pipeline.load import load_source
from onnxproof.records import label_of
from onnxproof.simplify import stage as simplify_stage
from tasks.retry_policy import stage_task


def _export_name() -> str:
    given = task_run.get_parameters()
    return f"export-{label_of(given['strategy'], variant=given['variant'])}"


load = stage_task(load_source, name="load", run_name="load-{spec.name}")
export = stage_task(export_onnx, name="export", run_name=_export_name)
simplify = stage_task(
    simplify_stage.simplify, name="simplify", run_name="simplify-{candidate.label}+{simplifier}"
)
check = stage_task(check_candidate, name="check", run_name="check-{candidate.label}")
localize = stage_task(
    localize_stage.localize, name="localize", run_name="localize-{candidate.label}"
)
conclude = stage_task(conclude_stage.conclude, name="conclude", run_name="conclude-{run.spec.name}")
