"""Proofs that this machine keeps in its work folders."""

from __future__ import annotations

from pathlib import Path

from onnxproof.errors import BadInput
from onnxproof.records import Proof


def find_local(home: Path, name: str, proof_key: str) -> tuple[Path, Proof] | None:
    """The newest work folder on this machine with the proof and the very files it is about."""
    from onnxproof.proof.manifest import read_proof

    for path in sorted((home / "work" / name).glob("*/proof.json"), reverse=True):
        try:
            proof = read_proof(path)
        except (OSError, BadInput):
            continue  # of another version of onnxproof, or removed meanwhile
        if proof.proof_key == proof_key and proof.chosen.unchanged(path.parent):
            return path.parent, proof
    return None
