from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
from mlflow import MlflowClient
from onnx import numpy_helper

from onnxproof import tracking
from onnxproof.commands.bench_target import Subject, subject_of
from onnxproof.errors import BadInput
from onnxproof.records import Proof
from onnxproof.spec.dims import Dim

GRAPH = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 4] x, int64[batch, seq] ids, bool[2] flag) => (float[batch, 4] y)
    <float[4] bias = {1, 2, 3, 4}> { y = Add(x, bias) }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alone" / "graph.onnx"
    path.parent.mkdir()
    onnx.save(onnx.parser.parse_model(GRAPH), path)
    return path


def found(model: Path | str, tmp_path: Path, *points: dict[str, int], **lines: str) -> Subject:
    return subject_of(str(model), tmp_path / "fetched", lines, points)


def test_the_inputs_of_a_file_are_those_of_its_graph(file: Path, tmp_path: Path) -> None:
    subject = found(file, tmp_path, {"batch": 2, "seq": 8}, {"batch": 4, "seq": 8})
    assert (subject.label, subject.path) == ("graph.onnx", file)
    assert subject.size_bytes == file.stat().st_size
    assert subject.takes == {"x": "float32", "ids": "int64", "flag": "bool"}
    assert subject.inputs["ids"].shape == ("batch", "seq")
    assert (subject.inputs["ids"].low, subject.inputs["ids"].high) == (0, 1)
    assert subject.dims == {"batch": Dim(min=2, max=4), "seq": Dim(min=8, max=8)}


def test_a_line_says_what_an_input_of_a_file_is_like(file: Path, tmp_path: Path) -> None:
    subject = found(file, tmp_path, {"batch": 2, "seq": 8}, ids="int64[batch, seq] in 5..9")
    assert (subject.inputs["ids"].low, subject.inputs["ids"].high) == (5, 9)


@pytest.mark.parametrize(
    ("points", "lines", "message"),
    [
        (
            [],
            {},
            "and at which it is fast is the question: add --at batch=8,seq=8, once for each point",
        ),
        ([{"batch": 2}], {}, "takes any size of seq, and at which it is fast"),
        ([{"batch": 2, "sea": 3}], {}, "--at names sea; "),
        ([{"batch": 2, "seq": 3}], {"idx": "int64[batch]"}, "--input names idx, "),
        ([{"batch": 2, "seq": 3}], {"ids": "int7[batch]"}, "cannot draw the input ids of "),
    ],
    ids=["no point", "half a point", "a dim it has not", "an input it has not", "no dtype"],
)
def test_what_a_file_does_not_say_is_asked_for(
    file: Path,
    tmp_path: Path,
    points: list[dict[str, int]],
    lines: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(BadInput) as caught:
        found(file, tmp_path, *points, **lines)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no "),
        (b"not a graph", "is no ONNX file: "),
        (b"", "is no ONNX file that computes anything: its graph has no nodes"),
    ],
    ids=["no file", "another format", "nothing"],
)
def test_what_is_no_onnx_file_is_reported(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "alone.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        found(path, tmp_path)
    assert message in str(caught.value)


def test_weights_that_lie_elsewhere_count_and_are_missed(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(GRAPH)
    bias = numpy_helper.to_array(model.graph.initializer[0])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(bias, "bias"))  # raw data
    path = tmp_path / "outside.onnx"
    onnx.save_model(
        model, path, save_as_external_data=True, location="outside.data", size_threshold=0
    )
    point: dict[str, Any] = {"batch": 2, "seq": 8}
    both = path.stat().st_size + (tmp_path / "outside.data").stat().st_size
    assert found(path, tmp_path, point).size_bytes == both
    (tmp_path / "outside.data").unlink()
    with pytest.raises(BadInput, match=r"outside\.onnx needs .*outside\.data, which is not there"):
        found(path, tmp_path, point)


def test_a_folder_with_a_proof_says_all_itself(proof: Proof, work: Path, tmp_path: Path) -> None:
    for model in (work, work / proof.chosen.model.path):
        subject = found(model, tmp_path)
        assert subject.spec == proof.spec
        assert subject.label.startswith("toy of ")
        assert subject.path.resolve() == (work / proof.chosen.model.path).resolve()


def test_a_file_beside_a_proof_that_is_not_its_own_is_reported(work: Path, tmp_path: Path) -> None:
    other = work / "other.onnx"
    onnx.save(onnx.parser.parse_model(GRAPH), other)
    with pytest.raises(BadInput, match=r"lies beside the proof of model\.onnx; give the folder"):
        found(other, tmp_path)


def test_a_file_that_was_changed_since_its_proof_is_not_timed(
    proof: Proof, work: Path, tmp_path: Path
) -> None:
    with (work / proof.chosen.model.path).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadInput, match="are not those of the proof of toy; `onnxproof verify`"):
        found(work, tmp_path)


def test_a_registered_version_is_fetched(
    client: MlflowClient, proof: Proof, work: Path, tmp_path: Path
) -> None:
    tracking.register(proof, work)
    shutil.rmtree(work)
    subject = found("models:/toy/1", tmp_path)
    assert subject.label == "toy version 1"
    assert subject.path.is_file()
    assert subject.path.is_relative_to(tmp_path / "fetched")
    with pytest.raises(BadInput, match="the registry has no models:/toy/9"):
        found("models:/toy/9", tmp_path)
