from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from onnxproof import tracking
from onnxproof.commands.verify import verify
from onnxproof.errors import BadInput, ProofRefused
from onnxproof.records import Proof


def test_a_version_describes_itself(client: MlflowClient, proof: Proof, work: Path) -> None:
    made = tracking.promote(tracking.register(proof, work), "auto")
    assert tracking.describe("models:/toy@champion") == (proof, made)
    assert tracking.describe("models:/toy/1") == (proof, made)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/toy/7", "the registry has no models:/toy/7; of toy it has /1, @challenger"),
        ("models:/toy@prod", "the registry has no models:/toy@prod; of toy it has /1, @challenger"),
        ("models:/tyo/1", "the registry has no models:/tyo/1; it has toy"),
        ("toy", "'toy' is no model; write models:/NAME/VERSION, models:/NAME@ALIAS, or a folder"),
    ],
)
def test_a_model_that_is_not_there_is_reported_with_what_is(
    client: MlflowClient, proof: Proof, work: Path, uri: str, message: str
) -> None:
    tracking.register(proof, work)
    with pytest.raises(BadInput) as caught:
        tracking.describe(uri)
    assert message in str(caught.value)


def test_a_version_of_another_maker_carries_no_proof(client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "MLmodel").write_text("flavors: {}\n")
    client.create_registered_model("theirs")
    client.create_model_version("theirs", source=str(tmp_path / "theirs"))
    with pytest.raises(BadInput, match="models:/theirs/1 carries no proof"):
        tracking.describe("models:/theirs/1")


def test_verify_replays_a_version_and_a_folder(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    made = tracking.register(proof, work)
    for model in (made.model_uri, "models:/toy@challenger", str(work)):
        replay = verify(model)
        assert replay.holds
        assert replay.lines[-1].startswith("the proof holds on CPUExecutionProvider: ")


def test_verify_refuses_other_numbers_and_says_which(proof: Proof, work: Path) -> None:
    one, other = (work / f"test_data_set_{number}" / "output_0.pb" for number in (0, 1))
    shutil.copy(one, other)
    with pytest.raises(ProofRefused, match=r"FAIL output: .*the proof DOES NOT HOLD"):
        verify(str(work))


def test_verify_says_what_it_needs(work: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no proof.json"):
        verify(str(tmp_path))
    with pytest.raises(BadInput, match=r"TensorrtExecutionProvider is not in this ONNX Runtime"):
        verify(str(work), provider="TensorrtExecutionProvider")
