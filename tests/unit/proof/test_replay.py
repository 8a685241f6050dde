from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxproof.proof import replay
from onnxproof.records import OutputParity, Proof

PROGRAM = Path(replay.__file__)


@pytest.fixture
def folder(toy_proof: tuple[Proof, Path], tmp_path: Path) -> Path:
    """A copy of a real proof, as the registry hands it out."""
    return Path(shutil.copytree(toy_proof[1], tmp_path / "model"))


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """As a consumer runs it: the file alone, away from our packages."""
    program = Path(shutil.copy(PROGRAM, folder.parent / "replay.py"))
    command = [sys.executable, "-I", str(program), str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows_of(proof: Proof) -> list[OutputParity]:
    """Of the one output: over the seeded samples, and at each edge sample that counts."""
    edges = [edge.parity[0] for edge in proof.check.edges if edge.outcome == "passed"]
    return [*proof.check.parity, *edges]


def compared(proof: Proof) -> tuple[int, int]:
    """Elements and samples."""
    rows = rows_of(proof)
    return sum(row.elements for row in rows), sum(row.samples for row in rows)


def test_a_good_folder_holds_and_says_what_was_compared(
    folder: Path, toy_proof: tuple[Proof, Path]
) -> None:
    answer = run(folder)
    elements, samples = compared(toy_proof[0])
    lines = answer.stdout.splitlines()
    assert (answer.returncode, answer.stderr) == (0, "")
    assert lines[0].startswith(f"ok   output: 0 of {elements} elements differ, at most ")
    assert lines[1] == (
        f"the proof holds on CPUExecutionProvider: {samples} sets, "
        "its files are those that were proven"
    )


def test_the_folder_of_the_program_is_meant_when_none_is_named(folder: Path) -> None:
    program = shutil.copy(PROGRAM, folder / "replay.py")
    answer = subprocess.run([sys.executable, "-I", program], capture_output=True, check=False)
    assert answer.returncode == 0


def test_the_numbers_are_those_of_the_check(folder: Path, toy_proof: tuple[Proof, Path]) -> None:
    (row,), (parity,) = replay.replay(folder), toy_proof[0].check.parity
    largest = max(row.max_abs_diff for row in rows_of(toy_proof[0]))
    assert (row.output, row.mismatched, row.max_abs_diff) == (parity.name, 0, largest)
    assert (row.elements, row.sets) == compared(toy_proof[0])


def change_weight(folder: Path) -> None:
    """The last byte of a float: far within the tolerance, and yet another file."""
    model = onnx.load(folder / "model.onnx")
    data = bytearray(model.graph.initializer[0].raw_data)
    data[0] ^= 1
    model.graph.initializer[0].raw_data = bytes(data)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def test_one_bit_of_a_weight_is_noticed(folder: Path) -> None:
    change_weight(folder)
    answer = run(folder)
    assert answer.returncode == 4
    assert "the proof DOES NOT HOLD on CPUExecutionProvider" in answer.stdout
    assert "its files ARE NOT those that were proven" in answer.stdout


def change_output(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = folder / "test_data_set_1" / "output_0.pb"
    tensor = onnx.load_tensor(path)
    array = change(numpy_helper.to_array(tensor).copy())
    path.write_bytes(numpy_helper.from_array(array, tensor.name).SerializeToString())


def put(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[0] = value
        return array

    return change


def test_an_edge_sample_that_differs_does_not_hold(
    folder: Path, toy_proof: tuple[Proof, Path]
) -> None:
    edge = next(edge for edge in toy_proof[0].check.edges if edge.outcome == "passed")
    path = folder / edge.folder / "output_0.pb"
    tensor = onnx.load_tensor(str(path))
    array = numpy_helper.to_array(tensor) + np.float32(1)
    onnx.save_tensor(numpy_helper.from_array(array, tensor.name), str(path))
    (row,) = replay.replay(folder)
    assert row.mismatched == array.size


@pytest.mark.parametrize("value", [1e3, float("nan"), float("inf")])
def test_an_output_that_differs_does_not_hold(folder: Path, value: float) -> None:
    change_output(folder, put(value))
    answer = run(folder)
    assert answer.returncode == 4
    assert answer.stdout.startswith("FAIL output: 1 of ")
    assert "its files ARE NOT those that were proven" in answer.stdout


def test_a_set_that_was_changed_within_the_tolerance_is_noticed(folder: Path) -> None:
    change_output(folder, lambda array: array + np.float32(1e-7))
    answer = run(folder)
    assert answer.returncode == 4
    assert answer.stdout.startswith("ok   output: 0 of ")
    assert "its files ARE NOT those that were proven" in answer.stdout


@pytest.mark.parametrize(
    "change",
    [lambda array: array[:, :2], lambda array: array.astype(np.float64)],
    ids=["shape", "dtype"],
)
def test_an_output_of_another_kind_does_not_hold(
    folder: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    change_output(folder, change)
    answer = run(folder)
    assert answer.returncode == 4
    assert "at most inf from PyTorch" in answer.stdout


def test_a_model_that_does_not_load_does_not_hold(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"not a graph")
    answer = run(folder)
    assert (answer.returncode, answer.stdout) == (4, "")
    assert answer.stderr.startswith("the proof DOES NOT HOLD: InvalidProtobuf: ")


def test_a_model_with_other_outputs_does_not_hold(folder: Path) -> None:
    model = onnx.load(folder / "model.onnx")
    name = model.graph.output[0].name
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    answer = run(folder)
    assert answer.returncode == 4
    assert f"model.onnx has [['x'], ['other']], the proof is about [['x'], ['{name}']]" in (
        answer.stderr
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.onnx", "No such file"),
        ("proof.json", "No such file"),
        ("test_data_set_1", "test_data_set_1/input_0.pb"),
        ("test_data_set_1/input_0.pb", "test_data_set_1/input_0.pb"),
        ("test_data_set_1/output_0.pb", "test_data_set_1/output_0.pb"),
    ],
)
def test_a_missing_file_is_named_and_proves_nothing(
    folder: Path, missing: str, message: str
) -> None:
    path = folder / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    answer = run(folder)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"cannot replay {folder}: ")
    assert message in answer.stderr
    assert Path(missing).parts[0] in answer.stderr


def test_a_folder_that_is_not_there_proves_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere").returncode == 2


@pytest.mark.parametrize("part", ["points", "parity"])
def test_a_proof_about_nothing_proves_nothing(folder: Path, part: str) -> None:
    proof = json.loads((folder / "proof.json").read_text())
    holder = proof["check"] if part == "parity" else proof["loaded"]["reference"]
    holder[part] = []
    (folder / "proof.json").write_text(json.dumps(proof))
    answer = run(folder)
    assert answer.returncode == 2
    assert "names no test_data_set_N, or no output" in answer.stderr


@pytest.mark.parametrize("text", ["{", "{}"])
def test_a_proof_that_cannot_be_read_proves_nothing(folder: Path, text: str) -> None:
    (folder / "proof.json").write_text(text)
    assert run(folder).returncode == 2


def test_an_unknown_provider_proves_nothing_and_the_known_ones_are_named(folder: Path) -> None:
    answer = run(folder, "--provider", "NoSuchExecutionProvider")
    assert answer.returncode == 2
    assert "NoSuchExecutionProvider is not in this ONNX Runtime, which has [" in answer.stderr
    assert "'CPUExecutionProvider'" in answer.stderr


def test_a_provider_that_takes_no_node_proves_nothing(folder: Path) -> None:
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs a provider that takes no node, such as Azure's")
    answer = run(folder, "--provider", "AzureExecutionProvider")
    assert answer.returncode == 2
    assert "takes no node of this model, all are on ['CPUExecutionProvider']" in answer.stderr


def test_other_folders_beside_the_model_are_no_sets(folder: Path) -> None:
    (folder / "test_data_set_99").mkdir()
    assert run(folder).returncode == 0


def test_it_needs_numpy_onnx_and_onnxruntime_alone() -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            imported.add(node.module.partition(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "onnx", "onnxruntime"}
