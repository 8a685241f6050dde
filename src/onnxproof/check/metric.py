"""The verdict ``metric``: the graph scores on the dataset as PyTorch does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxproof.records import Metric, Run, Verdict
from onnxproof.samples.dataset import measure_metric
from onnxproof.samples.metrics import drop

if TYPE_CHECKING:
    from onnxproof.runtime import Session


def check_metric(run: Run, session: Session) -> tuple[Verdict, Metric]:
    """The verdict, and PyTorch's metric of the reference with the graph's score added."""
    before = run.loaded.reference.metric
    assert before is not None
    score, _ = measure_metric(run.spec, run.work, session.run)
    worse, allowed = drop(before, score), run.spec.gates.max_metric_drop
    reason = f"{before.name} {score:.4f}, PyTorch {before.pytorch:.4f}, over {before.rows} rows"
    if worse > allowed:
        reason += f": worse by {worse:.4g}, gates.max_metric_drop = {allowed:g}"
    verdict = Verdict(
        name="metric", outcome="failed" if worse > allowed else "passed", reason=reason
    )
    return verdict, before.model_copy(update={"onnx": score})
