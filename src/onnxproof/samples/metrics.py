"""Scores of a model's answers over labeled rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import SpecError, one_line
from onnxproof.records import Metric, Work
from onnxproof.spec import Dataset
from onnxproof.usercode.allowed import import_factory

if TYPE_CHECKING:
    import numpy as np

ROUNDING: Final = 1e-6
"""A share of the score: a mean of squares moves by that much when its sums change their order."""


def score(
    dataset: Dataset, work: Work, outputs: Mapping[str, np.ndarray], labels: np.ndarray
) -> float:
    """What ``dataset.metric`` gives; those with a name look at the first output.

    Args:
        dataset: Names the metric.
        work: Where a metric of one's own may come from.
        outputs: Every output over all rows.
        labels: One a row.

    Raises:
        SpecError: The metric does not fit the output or the labels, or gave no finite number.
        SourceError: A metric of one's own is not there, or not allowed.
        LoadError: Its module raised while it was imported.
    """
    name = dataset.metric
    if name in METRICS:
        output, array = next(iter(outputs.items()))
        _refuse_shapes(dataset, output, array, labels)
        value = METRICS[name](array, labels)
    else:
        function = import_factory(name, work.roots, work.allow, local_code=work.local_code)
        try:
            value = float(function(dict(outputs), labels))  # type: ignore[arg-type]
        except Exception as error:
            raise SpecError(
                f"dataset.metric {name} raised {type(error).__name__}: {one_line(error)}; it is "
                "called with the outputs by name and the labels, and returns a number"
            ) from error
    if not math.isfinite(value):
        raise SpecError(
            f"dataset.metric {name} is {value} over these rows, which is no score; take another "
            "metric or other rows"
        )
    return value


def drop(metric: Metric, onnx: float) -> float:
    """How much worse ``onnx`` is than PyTorch's score; rounding is none."""
    worse = metric.pytorch - onnx if metric.better == "higher" else onnx - metric.pytorch
    return 0.0 if abs(worse) <= ROUNDING * abs(metric.pytorch) else worse


def _top1(scores: np.ndarray, labels: np.ndarray) -> float:
    return float((scores.argmax(axis=-1) == labels).mean())


def _f1(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over the classes that occur of the harmonic mean of precision and recall."""
    import numpy as np

    predictions = scores.argmax(axis=-1)
    found = []
    for label in np.union1d(predictions, labels):
        hit = np.sum((predictions == label) & (labels == label))
        found.append(2 * hit / (np.sum(predictions == label) + np.sum(labels == label)))
    return float(np.mean(found))


def _mse(values: np.ndarray, labels: np.ndarray) -> float:
    import numpy as np

    return float(np.mean(np.square(values.ravel().astype(np.float64) - labels.ravel())))


def _spearman(values: np.ndarray, labels: np.ndarray) -> float:
    from scipy.stats import spearmanr

    found: Any = spearmanr(values.ravel(), labels.ravel())
    return float(found.statistic)


METRICS: Final[dict[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "top1": _top1,
    "f1": _f1,
    "mse": _mse,
    "spearman": _spearman,
}


def _refuse_shapes(dataset: Dataset, output: str, array: np.ndarray, labels: np.ndarray) -> None:
    name = dataset.metric
    if name in ("top1", "f1"):
        if array.ndim != 2 or len(array) != len(labels):
            raise SpecError(
                f"{name} needs an output of the shape [rows, classes], and {output!r}, the first, "
                f"is {list(array.shape)} for {len(labels)} rows; leave dataset out, or return "
                "the scores first"
            )
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise SpecError(
                f"dataset array {dataset.labels!r} is {labels.dtype} of rank {labels.ndim}; {name} "
                "needs one class number a row"
            )
    elif array.size != labels.size or labels.dtype.kind not in "iuf":
        raise SpecError(
            f"{name} needs a number for each element of the first output, and {output!r} is "
            f"{list(array.shape)}, {dataset.labels!r} is {labels.dtype}{list(labels.shape)}"
        )
