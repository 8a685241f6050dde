"""Put the proof together, and leave it in the work folder beside the file it is about."""

from __future__ import annotations

from pathlib import Path

from onnxproof.records import Proof


def read_proof(path: Path) -> Proof:
    """The proof in a ``proof.json``."""
    return Proof.model_validate_json(path.read_text(encoding="utf-8"))
