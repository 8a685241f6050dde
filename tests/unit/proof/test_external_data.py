from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from mlflow import MlflowClient

from onnxproof import tracking
from onnxproof.errors import CheckError, RegisterError
from onnxproof.pipeline.conclude import conclude
from onnxproof.proof import replay
from onnxproof.proof.local import find_local
from onnxproof.records import Proof, Run, SearchResult, Work
from onnxproof.tracking import registration, versions
from tests.helpers.graphs import change_a_byte


@pytest.fixture
def proven(outside_proof: tuple[Proof, Path], tmp_path: Path) -> tuple[Proof, Path]:
    """A real proof with its weights outside, and a copy of its folder that a test may spoil."""
    return outside_proof[0], Path(shutil.copytree(outside_proof[1], tmp_path / "work"))


def test_a_proof_names_its_weights_and_everyone_can_load_the_model(
    proven: tuple[Proof, Path],
) -> None:
    proof, work = proven
    assert proof.chosen.weights is not None
    assert proof.check.weights_sha256 == proof.chosen.weights.sha256
    onnx.checker.check_model(str(work / "model.onnx"), full_check=True)
    assert onnx.load(work / "model.onnx").graph.initializer[0].raw_data


def test_weights_that_changed_after_the_check_are_no_proof(proven: tuple[Proof, Path]) -> None:
    proof, folder = proven
    change_a_byte(folder / "trace.onnx.data")
    chosen = next(attempt.candidate for attempt in proof.attempts if attempt.chosen)
    search = SearchResult(attempts=proof.attempts, chosen=chosen, benchmark=proof.benchmark)
    work = Work(folder=str(folder), roots=(), allow=(), metadata={})
    with pytest.raises(CheckError, match=r"trace\.onnx\.data is not the file that was checked"):
        conclude(Run(proof.spec, work, proof.loaded), proof.proof_key, search)


def test_a_local_proof_whose_weights_changed_is_not_found_again(
    proven: tuple[Proof, Path], tmp_path: Path
) -> None:
    proof, folder = proven
    place = tmp_path / "home" / "work" / "toy" / "1"
    shutil.copytree(folder, place)
    assert find_local(tmp_path / "home", "toy", proof.proof_key) is not None
    change_a_byte(place / "trace.onnx.data")
    assert find_local(tmp_path / "home", "toy", proof.proof_key) is None


def test_the_registry_holds_the_weights_and_pyfunc_predicts_with_them(
    client: MlflowClient, proven: tuple[Proof, Path], tmp_path: Path
) -> None:
    import mlflow.pyfunc

    proof, work = proven
    made = tracking.register(proof, work)
    folder = tracking.download(made.model_uri, tmp_path / "fetched")
    assert proof.chosen.unchanged(folder)
    command = [sys.executable, "-I", str(folder / "replay.py")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert onnx.load(folder / "model.onnx").graph.initializer[0].raw_data
    predicted = mlflow.pyfunc.load_model(made.model_uri).predict({"x": np.zeros((2, 4), np.int64)})
    assert predicted["output"].shape == (2, 4, 1000)


def test_weights_that_the_registry_gives_back_changed_make_no_version(
    client: MlflowClient, proven: tuple[Proof, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(location: str, folder: Path) -> Path:
        fetched = versions.fetch(location, folder)
        change_a_byte(fetched / "trace.onnx.data")
        return fetched

    monkeypatch.setattr(registration, "fetch", spoil)
    with pytest.raises(RegisterError, match=r"the trace\.onnx\.data that MLflow gives back"):
        tracking.register(*proven)
    assert client.search_model_versions("name = 'toy'") == []


def test_a_replay_notices_one_changed_byte_of_the_weights(proven: tuple[Proof, Path]) -> None:
    _, folder = proven
    assert replay.same_bytes(folder)
    change_a_byte(folder / "trace.onnx.data")
    assert not replay.same_bytes(folder)
