from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_squared_error

from onnxproof.errors import SourceError, SpecError
from onnxproof.records import Metric
from onnxproof.samples.metrics import drop, score
from onnxproof.spec import Dataset
from tests.helpers.specs import work_in

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((40, 3)).astype(np.float32)
CLASSES = RNG.integers(0, 3, 40)
VALUES = RNG.standard_normal((40, 1)).astype(np.float32)
TARGETS = VALUES[:, 0] * 2 + RNG.standard_normal(40)


def scored(folder: Path, metric: str, output: Any, labels: Any) -> float:
    dataset = Dataset(path="rows.npz", inputs={"x": "x"}, labels="y", metric=metric)
    outputs = {"first": np.asarray(output), "second": np.zeros(3)}
    return score(dataset, work_in(folder, folder), outputs, np.asarray(labels))


def test_each_named_metric_is_what_scikit_learn_or_scipy_calls_so(tmp_path: Path) -> None:
    proposals = SCORES.argmax(1)
    assert scored(tmp_path, "top1", SCORES, CLASSES) == np.mean(proposals == CLASSES)
    f1 = f1_score(CLASSES, proposals, average="macro")
    assert scored(tmp_path, "f1", SCORES, CLASSES) == pytest.approx(f1)
    mse = mean_squared_error(TARGETS, VALUES[:, 0])
    assert scored(tmp_path, "mse", VALUES, TARGETS) == pytest.approx(mse)
    assert scored(tmp_path, "spearman", VALUES, VALUES[:, 0] ** 3) == pytest.approx(1)


def test_a_metric_of_ones_own_gets_all_outputs_and_the_labels(tmp_path: Path) -> None:
    (tmp_path / "own_metric.py").write_text(
        "def count(outputs, labels):\n"
        "    return len(outputs['second']) + (outputs['first'] == labels).sum()\n"
    )
    assert scored(tmp_path, "own_metric:count", [1, 2], [1, 3]) == 4


@pytest.mark.parametrize(
    ("metric", "output", "labels", "message"),
    [
        ("mse", [[1.0, 2.0]], [1.0], "needs a number for each element of the first output"),
        ("spearman", [1.0, 2.0], ["a", "b"], "'y' is <U1[2]"),
        ("f1", [1.0, 2.0], [1, 0], "f1 needs an output of the shape [rows, classes]"),
        ("mse", [np.nan, 2.0], [1.0, 0.0], "dataset.metric mse is nan over these rows"),
    ],
)
def test_what_does_not_fit_the_metric_is_refused(
    tmp_path: Path, metric: str, output: Any, labels: Any, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        scored(tmp_path, metric, output, labels)
    assert message in str(caught.value)


def test_a_metric_that_raises_or_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "raising_metric.py").write_text("def fail(outputs, labels):\n    return {}['no']\n")
    with pytest.raises(SpecError, match="raising_metric:fail raised KeyError: 'no'; it is called"):
        scored(tmp_path, "raising_metric:fail", [1], [1])
    with pytest.raises(SourceError, match="no_such_metric"):
        scored(tmp_path, "no_such_metric:fail", [1], [1])


@pytest.mark.parametrize(
    ("better", "onnx", "worse"),
    [("higher", 0.75, 0.25), ("higher", 1.5, -0.5), ("lower", 1.25, 0.25), ("lower", 0.5, -0.5),
     ("higher", 1 - 1e-7, 0), ("lower", 1 + 1e-7, 0)],
)  # fmt: skip
def test_a_drop_is_towards_the_worse_side_and_rounding_is_none(
    better: Any, onnx: float, worse: float
) -> None:
    assert drop(Metric(name="m", rows=4, pytorch=1.0, better=better), onnx) == worse


@pytest.mark.parametrize(
    ("metric", "better", "scores"),
    [
        ("top1", None, "higher"),
        ("mse", None, "lower"),
        ("own:one", None, "higher"),
        ("own:one", "lower", "lower"),
    ],
)
def test_lower_is_better_for_mse_and_where_the_spec_says_so(
    metric: str, better: Any, scores: str
) -> None:
    dataset = Dataset(path="r", inputs={"x": "x"}, labels="y", metric=metric, better=better)
    assert dataset.better_scores == scores
    assert dataset.modules == ({"own"} if ":" in metric else set())
