"""Real rows with labels, and the metric over them, alike for PyTorch and for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from onnxproof.errors import SourceError, SpecError
from onnxproof.records import Work
from onnxproof.samples.generate import Feed
from onnxproof.samples.grid import example_sizes
from onnxproof.samples.metrics import score
from onnxproof.spec import Dataset, Spec
from onnxproof.spec.dims import evaluate
from onnxproof.usercode.allowed import find_file

if TYPE_CHECKING:
    import numpy as np

ROWS_AT_A_TIME: Final = 256


def measure_metric(
    spec: Spec, work: Work, model: Callable[[Feed], Mapping[str, np.ndarray]]
) -> tuple[float, int]:
    """The metric of ``model``'s outputs over the dataset's rows, and how many rows.

    Rows go through in order, as many at a time as the declared range of their dim allows.

    Raises:
        SourceError: The file is missing, or lacks an array.
        SpecError: An array does not have the input's dtype or rank, the rows cannot be cut, or the
            metric does not fit the outputs.
    """
    import numpy as np

    assert spec.dataset is not None
    inputs, labels = read_rows(spec.dataset, spec, work)
    rows = len(labels)
    step = _rows_at_a_time(spec, rows)
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, rows, step):
        feed = {name: array[start : start + step] for name, array in inputs.items()}
        for name, array in model(feed).items():
            parts.setdefault(name, []).append(np.atleast_1d(array))
    outputs = {name: np.concatenate(part) for name, part in parts.items()}
    return score(spec.dataset, work, outputs, labels), rows


def first_rows(spec: Spec, work: Work) -> Iterator[Feed]:
    """The first rows of the dataset as forward takes them, as many at a time as at the example.

    Raises:
        SourceError: The file is missing, or lacks an array.
        SpecError: An array does not have the input's dtype or rank, or the rows cannot be cut.
    """
    assert spec.dataset is not None
    inputs, labels = read_rows(spec.dataset, spec, work)
    first = next(iter(spec.inputs.values())).shape[0]
    example = example_sizes(spec.dims).get(str(first), 1)
    step = min(_rows_at_a_time(spec, len(labels)), example) if isinstance(first, str) else first
    for start in range(0, len(labels) - step + 1, step):
        yield {name: array[start : start + step] for name, array in inputs.items()}


def sizes_of(spec: Spec, feed: Feed) -> dict[str, int] | None:
    """The dims of a feed; None where it has other sizes than the spec declares."""
    found = {
        size: length
        for name, input_spec in spec.inputs.items()
        for size, length in zip(input_spec.shape, feed[name].shape, strict=True)
        if size in spec.dims
    }
    if set(found) != set(spec.dims):
        return None  # arithmetic over a dim alone tells nothing of it
    sizes = {name: found[name] for name in spec.dims}
    declared = all(dim.holds(sizes[name]) for name, dim in spec.dims.items()) and all(
        feed[name].shape == tuple(int(evaluate(size, sizes)) for size in input_spec.shape)
        for name, input_spec in spec.inputs.items()
    )
    return sizes if declared else None


def rows_in(feed: Feed) -> int:
    """How many rows of a dataset a feed holds."""
    return len(next(iter(feed.values())))


def read_rows(dataset: Dataset, spec: Spec, work: Work) -> tuple[Feed, np.ndarray]:
    """Input arrays and labels; every array has one row for each label."""
    import numpy as np

    path = find_file(dataset.path, work.roots)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # NumPy lets zipfile's, zlib's and its own through
        raise SourceError(
            f"dataset {dataset.path} cannot be read as .npz: {type(error).__name__}: {error}; "
            "write it with np.savez, without Python objects"
        ) from None
    wanted = [*dataset.inputs.values(), dataset.labels]
    if missing := [key for key in wanted if key not in arrays]:
        raise SourceError(
            f"dataset {dataset.path} has no array {', '.join(missing)}; it has {', '.join(arrays)}"
        )
    inputs = {}
    for name, input_spec in spec.inputs.items():
        if name not in dataset.inputs:
            raise SpecError(f"dataset.inputs has no array for input {name!r}; name one")
        if not input_spec.shape:
            raise SpecError(f"input {name!r} has no rows to take from a dataset; leave it out")
        array = arrays[dataset.inputs[name]]
        if str(array.dtype) != input_spec.array_dtype or array.ndim != len(input_spec.shape):
            raise SpecError(
                f"dataset array {dataset.inputs[name]!r} is {array.dtype} of rank {array.ndim}, "
                f"input {name!r} is {input_spec.dtype} of rank {len(input_spec.shape)}"
            )
        inputs[name] = array
    labels = arrays[dataset.labels]
    if not labels.ndim:
        raise SpecError(f"dataset array {dataset.labels!r} has no rows")
    if not len(labels) or any(len(array) != len(labels) for array in inputs.values()):
        raise SpecError(f"dataset {dataset.path} needs one row of every input for each label")
    return inputs, labels


def _rows_at_a_time(spec: Spec, rows: int) -> int:
    first = next(iter(spec.inputs.values())).shape[0]
    if isinstance(first, int):
        if not first or rows % first:
            raise SpecError(
                f"{rows} dataset rows cannot be cut into batches of {first}, the input's first "
                "size; name a dim there, or leave rows out"
            )
        return first
    dim = spec.dims.get(first)
    if dim is None or dim.multiple_of > 1 or dim.min > 1 or spec.export.static:
        raise SpecError(
            f"dataset rows go in along {first}, which must be a dim that may be any size from 1"
        )
    return min(dim.largest, ROWS_AT_A_TIME)
