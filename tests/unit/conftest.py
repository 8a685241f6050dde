"""A proof, its files, and a registry to put them in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from onnxproof.records import Proof


@pytest.fixture
def client(registry: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{registry}/mlflow.db")


@pytest.fixture
def proof(toy_proof: tuple[Proof, Path]) -> Proof:
    return toy_proof[0]


@pytest.fixture
def work(toy_proof: tuple[Proof, Path], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(toy_proof[1], tmp_path / "work"))
