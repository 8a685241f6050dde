from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from onnxproof.records import Reference
from onnxproof.reference import sample_writer
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.samples.generate import draw
from onnxproof.samples.grid import shape_grid
from onnxproof.samples.sample_files import read_set
from tests.helpers.models import Linear, Tokens
from tests.helpers.specs import Does, source_of, work_in, write_reference

ONE, TWO = torch.ones(1), torch.full((1,), 2.0)
TOKENS: dict[str, Any] = {
    "inputs": {
        "input_ids": "int64[batch, 2*seq] in 0..49",
        "attention_mask": "int64[batch, 2*seq] mask",
    },
    "dims": {"batch": {"max": 8}, "seq": {"max": 4}},
}


def read(path: Path) -> np.ndarray:
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def test_every_point_of_the_grid_is_covered_with_the_samples_asked_for(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Tokens(), **TOKENS, check={"samples": 2})
    assert [point.outcome for point in found.points] == ["passed"] * len(found.points)
    assert {len(point.sets) for point in found.points} == {2}
    assert {point.reason for point in found.points} == {""}
    source = source_of(Tokens(), **TOKENS)
    corner = {name: dim.largest for name, dim in source.spec.dims.items()}
    assert [point.dims for point in found.points] == [*shape_grid(source.spec.dims), corner]


def test_the_sets_are_what_pytorch_takes_and_gives_in_onnx_test_layout(tmp_path: Path) -> None:
    module = Tokens()
    source = source_of(module, **TOKENS, check={"samples": 2, "seed": 5})
    found = ReferenceWriter(source, work_in(tmp_path)).write()
    point = found.points[-1]
    feed = draw(source.spec.inputs, point.dims, 5, 1)
    folder = tmp_path / found.folder / point.sets[1]
    assert np.array_equal(read(folder / "input_0.pb"), feed["input_ids"])
    assert np.array_equal(read(folder / "input_1.pb"), feed["attention_mask"])
    expected = module(*(torch.from_numpy(array) for array in feed.values()))
    assert np.array_equal(read(folder / "output_1.pb"), expected["pooled"].detach().numpy())
    assert onnx.load_tensor(str(folder / "output_1.pb")).name == "pooled"


def test_the_first_sample_of_every_shape_comes_before_further_ones(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Linear(), check={"samples": 2})
    count = len(found.points)
    names = [name for turn in (0, 1) for name in (point.sets[turn] for point in found.points)]
    assert names == [f"test_data_set_{number}" for number in range(2 * count)]
    assert all((tmp_path / found.folder / name / "output_0.pb").is_file() for name in names)


def test_digest_and_size_are_those_of_the_sets(tmp_path: Path) -> None:
    module = Linear()
    first, second = (write_reference(tmp_path / name, module) for name in ("a", "b"))
    assert first == second
    digest, size = hashlib.sha256(), 0
    for name in in_order(first):
        for file in ("input_0.pb", "output_0.pb"):
            path = tmp_path / "a" / first.folder / name / file
            digest.update(path.read_bytes())
            size += read(path).nbytes
    assert (first.digest, first.size_bytes) == (digest.hexdigest(), size)


def in_order(found: Reference) -> list[str]:
    names = [name for point in found.points for name in point.sets]
    return sorted(names, key=lambda name: int(name.removeprefix("test_data_set_")))


def test_another_seed_gives_another_digest(tmp_path: Path) -> None:
    module = Linear()
    first = write_reference(tmp_path / "a", module)
    assert write_reference(tmp_path / "b", module, check={"seed": 1}).digest != first.digest


def test_inputs_and_outputs_are_reported_in_terms_of_dims(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Tokens(), **TOKENS)
    message = [
        (tensor.name, tensor.dtype, tensor.shape) for tensor in (*found.inputs, *found.outputs)
    ]
    assert message == [
        ("input_ids", "int64", ("batch", "2*seq")),
        ("attention_mask", "int64", ("batch", "2*seq")),
        ("hidden", "float32", ("batch", "2*seq", 8)),
        ("pooled", "float32", ("batch", 8)),
    ]


def test_a_size_without_a_name_is_reported_as_unknown(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Does(lambda x: x.sum(1).expand(3, -1).reshape(-1)[::2]))
    assert found.outputs[0].shape == ("?",)


def test_static_sizes_are_numbers(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Linear(), export={"static": True})
    assert (found.inputs[0].shape, found.outputs[0].shape) == ((3, 4), (3, 3))
    assert len(found.points) == 1


def test_a_budget_of_seconds_shrinks_the_grid_and_says_so(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Linear(), check={"seconds": 1e-9, "samples": 3})
    first, *rest = found.points
    assert (first.outcome, first.sets) == ("passed", ("test_data_set_0",))
    assert first.reason == "check.seconds = 1e-09 was used up"
    assert rest
    assert all(point.outcome == "not_reached" and not point.sets for point in rest)
    assert {point.reason for point in rest} == {first.reason}


def test_a_budget_of_bytes_shrinks_the_grid_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_writer, "MAX_BYTES", 2**20)
    module = Does(lambda x: x.repeat(1, 30_000))  # 0.46 MiB a row
    found = write_reference(tmp_path, module, check={"samples": 4})
    assert [len(point.sets) for point in found.points] == [2, 0, 0, 0]
    assert found.points[0].reason == (
        "a sample takes 0.5 MiB, and 0.1 of the 1 MiB of a proof are left"
    )
    assert found.size_bytes <= 2**20


def test_samples_that_nobody_asked_for_have_a_budget_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_writer, "FURTHER_CPU_SECONDS", 0.0)
    found = write_reference(tmp_path / "a", Linear())
    assert {len(point.sets) for point in found.points} == {1}
    reason = "0 s of processor time used up; check.samples gives more"
    assert {(point.outcome, point.reason) for point in found.points} == {("passed", reason)}
    asked = write_reference(tmp_path / "b", Linear(), check={"samples": 4})
    assert {(len(point.sets), point.reason) for point in asked.points} == {(4, "")}


def test_an_answer_that_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    calls = []

    def noted(x: torch.Tensor) -> torch.Tensor:
        calls.append(tuple(x.shape))
        return x * 2

    source, work = source_of(Does(noted), check={"samples": 1}), work_in(tmp_path)
    example = {"x": draw(source.spec.inputs, {"batch": 3}, 0, 0)["x"]}
    ReferenceWriter(source, work, {"output": example["x"] * 2}).write()
    assert sorted(calls) == [(1, 4), (1, 4), (4, 4), (8, 4), (8, 4)]  # the ends, to count


def test_the_first_sample_is_taken_whatever_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample_writer, "MAX_BYTES", 1)
    found = write_reference(tmp_path, Linear(), check={"samples": 4})
    assert [len(point.sets) for point in found.points] == [1] + [0] * (len(found.points) - 1)


def test_what_a_shrunken_grid_did_not_vary_is_not_reported_as_fixed(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Linear(), check={"seconds": 1e-9})
    assert found.inputs[0].shape == ("batch", 4)
    assert found.outputs[0].shape == ("?", "?")


def test_rows_of_the_dataset_are_saved_beside_the_drawn_samples(tmp_path: Path) -> None:
    rows = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.savez(tmp_path / "rows.npz", pixels=rows, y=np.zeros(10, np.int64))
    found = write_reference(
        tmp_path,
        torch.nn.Linear(4, 3),
        inputs={"x": "float32[batch, 4]"},
        dims={"batch": {"max": 8, "example": 3}},
        dataset={"path": "rows.npz", "inputs": {"x": "pixels"}, "labels": "y"},
        check={"samples": 2},
    )
    *drawn, last = found.points
    assert {point.values for point in drawn} == {"seeded"}
    assert (last.values, last.dims, len(last.sets)) == ("dataset", {"batch": 3}, 2)
    saved = [read_set(tmp_path / name)[0]["x"] for name in last.sets]
    assert np.array_equal(np.concatenate(saved), rows[:6])
