from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxproof.errors import BadInput
from onnxproof.proof.manifest import read_proof
from onnxproof.records import Proof


def test_proof_comes_back_as_it_was_written(toy_proof: tuple[Proof, Path]) -> None:
    proof, folder = toy_proof
    assert read_proof(folder / "proof.json") == proof


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            json.dumps({"schema_version": 1, "versions": {"flow": "0.1.0+g1a2b3c4"}}),
            r"layout 1 of a proof, made by onnxproof 0.1.0\+g1a2b3c4; .* reads layout 3\. Prove",
        ),
        ("[]", "is no proof that onnxproof wrote"),
        ("not json", "is no proof that onnxproof wrote"),
        ('{"schema_version": 2}', "is no proof that onnxproof wrote"),
    ],
)
def test_other_layout_is_bad_input_and_says_what_made_it(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "proof.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_proof(tmp_path / "proof.json")
