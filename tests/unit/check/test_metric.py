from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxproof.check.stage import check_in_child
from onnxproof.records import CheckResult, Loaded, Metric, Run, Work
from onnxproof.spec import Spec
from tests.helpers.graphs import loaded_with, save, save_reference
from tests.helpers.specs import spec_of, work_in

SCORED = "top1 0.7500, PyTorch 1.0000, over 4 rows"
SCORES = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 2] x) => (float[batch, 2] y) { y = Identity(x) }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def check(work: Work, loaded: Loaded, spec: Spec) -> CheckResult:
    return check_in_child(Run(spec, work, loaded), save(SCORES, work))


@pytest.mark.parametrize(
    ("pytorch", "allowed", "reason"),
    [
        (0.75, 0.0, ""),
        (0.5, 0.0, ""),
        (1.0, 0.25, ""),
        (
            1.0,
            0.2,
            f"metric: {SCORED}: worse by 0.25, gates.max_metric_drop = 0.2",
        ),
    ],
    ids=["equal", "better", "as far as allowed", "beyond the gate"],
)
def test_a_metric_may_drop_as_far_as_its_gate(
    work: Work, pytorch: float, allowed: float, reason: str
) -> None:
    x = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    np.savez(work.path("rows.npz"), x=x, labels=np.array([0, 1, 0, 1]))
    loaded = save_reference(work, ({"x": x}, {"y": x}))
    before = Metric(name="top1", rows=4, pytorch=pytorch)
    loaded = loaded_with(loaded.reference.model_copy(update={"metric": before}))
    result = check(work, loaded, with_dataset(allowed))
    assert result.reason == reason
    assert result.metric == before.model_copy(update={"onnx": 0.75})


def test_a_metric_is_not_reached_when_parity_failed(work: Work) -> None:
    x = np.ones((2, 2), np.float32)
    np.savez(work.path("rows.npz"), x=x, labels=np.array([0, 1]))
    loaded = save_reference(work, ({"x": x}, {"y": x + 1}))
    result = check(work, loaded, with_dataset(1.0))
    metric = next(verdict for verdict in result.verdicts if verdict.name == "metric")
    assert (metric.outcome, metric.reason) == ("not_reached", "parity failed first")
    assert result.metric is None


def with_dataset(allowed: float) -> Spec:
    sections: dict[str, Any] = {
        "inputs": {"x": "float32[batch, 2]"},
        "dims": {"batch": {"max": 8}},
        "dataset": {"path": "rows.npz", "inputs": {"x": "x"}, "labels": "labels"},
        "gates": {"max_metric_drop": allowed},
    }
    return spec_of(**sections)
