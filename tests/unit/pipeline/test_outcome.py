from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from onnxproof.errors import (
    ExportError,
    OnnxproofError,
    ProofRefused,
    ReferenceRefused,
    ServerUnreachable,
    SpecError,
)
from onnxproof.pipeline import outcome
from onnxproof.records import Proof
from tests.helpers.graphs import REGISTRATION


def test_a_proven_run_names_the_file_the_proof_and_the_version(
    toy_proof: tuple[Proof, Path],
) -> None:
    proof, folder = toy_proof
    found = outcome.proven(proof, REGISTRATION, folder)
    assert json.loads(found.model_dump_json()) == {
        "status": "proven",
        "exit_code": 0,
        "stage": "",
        "reason": "",
        "name": "toy",
        "proof_key": proof.proof_key,
        "onnx_path": str(folder / "model.onnx"),
        "model_uri": "models:/toy/3",
        "proof_path": str(folder / "proof.json"),
        "run_url": "http://localhost:5000/#/runs/r-1",
        "gates": [],
    }
    assert Path(found.onnx_path or "").is_file()
    assert Path(found.proof_path or "").is_file()
    assert (found.proof, found.registration) == (proof, REGISTRATION)


def test_a_run_without_a_server_has_no_page_to_name(toy_proof: tuple[Proof, Path]) -> None:
    registration = REGISTRATION.model_copy(update={"run_url": ""})
    assert outcome.proven(toy_proof[0], registration, toy_proof[1]).run_url is None


def test_an_unchanged_run_names_the_file_where_this_machine_has_it(
    toy_proof: tuple[Proof, Path], tmp_path: Path
) -> None:
    proof, folder = toy_proof
    home = shutil.copytree(folder, tmp_path / "work" / "toy" / "20261122-120000").parents[2]
    found = outcome.unchanged(proof.proof_key, REGISTRATION, home)
    assert (found.status, found.exit_code, found.proof) == ("unchanged", 0, proof)
    assert found.reason == ("version 3 was proven from the same weights, code, spec and toolchain")
    assert found.onnx_path == str(home / "work" / "toy" / "20261122-120000" / "model.onnx")


@pytest.mark.parametrize("change", ["key", "bytes", "gone"])
def test_an_unchanged_run_names_no_file_that_is_not_the_one(
    toy_proof: tuple[Proof, Path], tmp_path: Path, change: str
) -> None:
    proof, folder = toy_proof
    copied = Path(shutil.copytree(folder, tmp_path / "work" / "toy" / "20261122-120000"))
    if change == "bytes":
        (copied / "model.onnx").write_bytes(b"another graph")
    elif change == "gone":
        shutil.rmtree(copied)
    key = "0" * 64 if change == "key" else proof.proof_key
    found = outcome.unchanged(key, REGISTRATION, tmp_path)
    assert (found.status, found.model_uri) == ("unchanged", "models:/toy/3")
    assert (found.onnx_path, found.proof_path, found.proof) == (None, None, None)


@pytest.mark.parametrize(
    ("error", "status", "code", "stage"),
    [
        (SpecError("no such key"), "failed", 2, "spec"),
        (ExportError("no graph"), "failed", 3, "export"),
        (ProofRefused("off by 3"), "refused", 4, "check"),
        (ReferenceRefused("nan"), "refused", 4, "load"),
        (ServerUnreachable("silence"), "failed", 5, "server"),
        (OnnxproofError("something"), "failed", 1, ""),
    ],
)
def test_an_error_of_ours_ends_with_its_exit_code_stage_and_text(
    error: OnnxproofError, status: str, code: int, stage: str
) -> None:
    found = outcome.failed(error, "toy")
    assert (found.status, found.exit_code, found.stage) == (status, code, stage)
    assert (found.reason, found.name) == (str(error), "toy")
    assert (found.model_uri, found.onnx_path, found.proof_path) == (None, None, None)


def test_an_error_of_others_is_reported_with_its_class() -> None:
    found = outcome.failed(ZeroDivisionError("by zero"))
    assert (found.status, found.exit_code, found.stage) == ("failed", 1, "")
    assert found.reason == "ZeroDivisionError: by zero"


def test_an_interruption_is_no_error() -> None:
    found = outcome.failed(KeyboardInterrupt())
    assert (found.status, found.exit_code, found.reason) == ("failed", 130, "interrupted")
