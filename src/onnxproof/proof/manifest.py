"""``proof.json``, read back."""

from __future__ import annotations

import json
from pathlib import Path

from onnxproof.errors import BadInput, one_line
from onnxproof.records import SCHEMA_VERSION, Proof


def read_proof(path: Path, called: str = "") -> Proof:
    """The proof in a ``proof.json``.

    Args:
        path: The file.
        called: What messages call it, for a file that lies in a temporary folder.

    Raises:
        BadInput: It is no proof, or one of another layout.
        OSError: It cannot be read.
    """
    text, called = path.read_text(encoding="utf-8"), called or str(path)
    try:
        found = json.loads(text)
        version = found["schema_version"]
        if version == SCHEMA_VERSION:
            return Proof.model_validate_json(text)
        maker = found["versions"]["flow"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{called} is no proof that onnxproof wrote: {one_line(error, 200)}"
        ) from None
    raise BadInput(
        f"{called} has layout {version} of a proof, made by onnxproof {maker}; this onnxproof "
        f"reads layout {SCHEMA_VERSION}. Prove the model again; the replay.py beside a registered "
        "proof still replays the old one"
    )
