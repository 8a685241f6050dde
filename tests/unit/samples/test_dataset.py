from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxproof.errors import BadInput, SourceError, SpecError
from onnxproof.samples.dataset import ROWS_AT_A_TIME, first_rows, measure_metric, rows_in, sizes_of
from onnxproof.samples.generate import Feed
from onnxproof.spec import Spec
from tests.helpers.specs import spec_of, work_in

PIXELS = np.arange(40, dtype=np.float32).reshape(10, 4)
LABELS = np.array([0, 0, 0, 0, 0, 0, 0, 1, 2, 2])


def spec_with_rows(*, batch: dict[str, int] | None = None, **sections: Any) -> Spec:
    return spec_of(
        **{
            "inputs": {"x": "float32[batch, 4]"},
            "dims": {"batch": batch or {"max": 4}},
            "dataset": {"path": "rows.npz", "inputs": {"x": "pixels"}, "labels": "y"},
            **sections,
        }
    )


def always_zero(feed: Feed) -> Mapping[str, np.ndarray]:
    return {"scores": np.tile([1.0, 0.0, 0.0], (rows_in(feed), 1))}


def save(folder: Path, **arrays: np.ndarray) -> None:
    rows = {"pixels": PIXELS, "y": LABELS, **arrays}
    np.savez(folder / "rows.npz", allow_pickle=True, **rows)


def refusal(folder: Path, error: type[BadInput], spec: Spec | None = None) -> str:
    with pytest.raises(error) as caught:
        measure_metric(spec or spec_with_rows(), work_in(folder, folder), always_zero)
    return str(caught.value)


def test_top1_is_the_share_of_rows_whose_greatest_score_is_the_labels(tmp_path: Path) -> None:
    save(tmp_path)
    assert measure_metric(spec_with_rows(), work_in(tmp_path, tmp_path), always_zero) == (0.7, 10)


@pytest.mark.parametrize(
    ("batch", "counts"),
    [({"max": 4}, [4, 4, 2]), ({"max": 1000}, [10]), ({"min": 1, "max": 1}, [1] * 10)],
)
def test_rows_go_through_in_order_as_many_as_the_dim_allows(
    tmp_path: Path, batch: dict[str, int], counts: list[int]
) -> None:
    save(tmp_path)
    seen: list[np.ndarray] = []

    def watch(feed: Feed) -> Mapping[str, np.ndarray]:
        seen.append(feed["x"])
        return always_zero(feed)

    measure_metric(spec_with_rows(batch=batch), work_in(tmp_path, tmp_path), watch)
    assert [len(array) for array in seen] == counts
    assert np.array_equal(np.concatenate(seen), PIXELS)


def test_no_more_rows_at_a_time_than_memory_likes(tmp_path: Path) -> None:
    rows = ROWS_AT_A_TIME + 1
    save(tmp_path, pixels=np.zeros((rows, 4), np.float32), y=np.zeros(rows, np.int64))
    counts: list[int] = []

    def watch(feed: Feed) -> Mapping[str, np.ndarray]:
        counts.append(rows_in(feed))
        return always_zero(feed)

    measure_metric(spec_with_rows(batch={"max": 10_000}), work_in(tmp_path, tmp_path), watch)
    assert counts == [ROWS_AT_A_TIME, 1]


def test_a_fixed_first_size_cuts_the_rows(tmp_path: Path) -> None:
    save(tmp_path)
    fixed = spec_with_rows(inputs={"x": "float32[5, 4]"}, dims={})
    assert measure_metric(fixed, work_in(tmp_path, tmp_path), always_zero) == (0.7, 10)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"inputs": {"x": "float32[3, 4]"}, "dims": {}},
            "10 dataset rows cannot be cut into batches of 3, the input's first size; name a dim",
        ),
        ({"batch": {"min": 2, "max": 4}}, "go in along batch, which must be a dim that may be any"),
        ({"batch": {"max": 4, "multiple_of": 2}}, "must be a dim that may be any size from 1"),
        ({"export": {"static": True}}, "must be a dim that may be any size from 1"),
        ({"inputs": {"x": "float32[2*batch, 4]"}}, "go in along 2*batch, which must be a dim that"),
        (
            {"inputs": {"steps": "int in 1..2", "x": "float32[batch, 4]"}},
            "dataset.inputs has no array for input 'steps'; name one",
        ),
        (
            {
                "inputs": {"steps": "int in 1..2", "x": "float32[batch, 4]"},
                "dataset": {"path": "rows.npz", "inputs": {"x": "pixels", "steps": "y"},
                            "labels": "y"},
            },
            "input 'steps' has no rows to take from a dataset; leave it out",
        ),
        ({"inputs": {"x": "float64[batch, 4]"}}, "'pixels' is float32 of rank 2, input 'x' is flo"),
        ({"inputs": {"x": "float32[batch]"}}, "'pixels' is float32 of rank 2, input 'x' is float3"),
    ],
)  # fmt: skip
def test_rows_that_the_spec_cannot_take_are_refused(
    tmp_path: Path, sections: dict[str, Any], message: str
) -> None:
    save(tmp_path)
    assert message in refusal(tmp_path, SpecError, spec_with_rows(**sections))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": LABELS[:9]}, "dataset rows.npz needs one row of every input for each label"),
        ({"y": LABELS[:0], "pixels": PIXELS[:0]}, "needs one row of every input for each label"),
        ({"y": LABELS[:, None]}, "'y' is int64 of rank 2; top1 needs one class number a row"),
        ({"y": np.array(3)}, "dataset array 'y' has no rows"),
        ({"y": LABELS / 2}, "'y' is float64 of rank 1; top1 needs one class number a row"),
    ],
    ids=["too few", "none", "a column", "one number", "fractions"],
)
def test_labels_that_are_no_class_of_each_row_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    save(tmp_path, **arrays)
    assert message in refusal(tmp_path, SpecError)


def test_an_output_that_is_no_row_of_scores_is_refused(tmp_path: Path) -> None:
    save(tmp_path)
    work = work_in(tmp_path, tmp_path)
    with pytest.raises(SpecError) as caught:
        measure_metric(
            spec_with_rows(), work, lambda feed: {"hidden": np.zeros((rows_in(feed), 7, 3))}
        )
    assert str(caught.value) == (
        "top1 needs an output of the shape [rows, classes], and 'hidden', the first, is "
        "[10, 7, 3] for 10 rows; leave dataset out, or return the scores first"
    )


def test_a_missing_dataset_is_reported(tmp_path: Path) -> None:
    assert "no file rows.npz below" in refusal(tmp_path, SourceError)


def test_a_missing_array_is_reported_with_those_that_are_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", image=PIXELS, label=LABELS)
    assert refusal(tmp_path, SourceError) == (
        "dataset rows.npz has no array pixels, y; it has image, label"
    )


@pytest.mark.parametrize("content", ["text", "empty", "array", "truncated", "objects"])
def test_a_file_that_is_no_npz_is_reported(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.npz"
    save(tmp_path)
    if content == "text":
        path.write_text("x,y\n1,2\n")
    elif content == "empty":
        path.write_bytes(b"")
    elif content == "array":
        with path.open("wb") as file:
            np.save(file, PIXELS)
    elif content == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    else:
        save(tmp_path, y=np.array([{"any": "object"}] * 10, dtype=object))
    text = refusal(tmp_path, SourceError)
    assert text.startswith("dataset rows.npz cannot be read as .npz: ")
    assert text.endswith("; write it with np.savez, without Python objects")


@pytest.mark.parametrize(
    ("shape", "dims", "batches"),
    [("batch", {"batch": {"max": 8, "example": 3}}, [3, 3, 3]), ("5", {}, [5, 5])],
)
def test_the_first_rows_come_as_many_at_a_time_as_at_the_example(
    tmp_path: Path, shape: str, dims: dict[str, Any], batches: list[int]
) -> None:
    save(tmp_path)
    spec = spec_with_rows(inputs={"x": f"float32[{shape}, 4]"}, dims=dims)
    feeds = list(first_rows(spec, work_in(tmp_path, tmp_path)))
    assert [rows_in(feed) for feed in feeds] == batches
    assert np.array_equal(np.concatenate([feed["x"] for feed in feeds]), PIXELS[: sum(batches)])


@pytest.mark.parametrize(
    ("line", "dims", "sizes"),
    [
        ("batch, seq", {"batch": {"max": 8}, "seq": {"max": 4}}, {"batch": 3, "seq": 4}),
        ("batch, 2*seq", {"batch": {"max": 8}, "seq": {"max": 4}}, None),
        ("batch, 4", {"batch": {"max": 2}}, None),
        ("batch, 5", {"batch": {"max": 8}}, None),
    ],
    ids=["declared", "not told by a size alone", "beyond the range", "another fixed size"],
)
def test_rows_have_the_sizes_of_the_declared_dims_or_none(
    line: str, dims: dict[str, Any], sizes: dict[str, int] | None
) -> None:
    spec = spec_of(inputs={"x": f"float32[{line}]"}, dims=dims)
    assert sizes_of(spec, {"x": PIXELS[:3]}) == sizes
