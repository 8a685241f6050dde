"""Replay the proof of a folder, or of a model version that the registry keeps, on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from onnxproof.isolation.child import prepare_children
from onnxproof.proof.verify import Replay, replay_folder
from onnxproof.spec import CPU, Limits

PRELOAD = ("onnx", "onnxproof.records")
"""No torch: whoever verifies may have none."""


def verify(model: str, *, provider: str = CPU, libraries: Sequence[str] = ()) -> Replay:
    """Replay the proof of ``model``.

    Args:
        model: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or a folder that holds the proof.
        provider: Execution provider, by its full name.
        libraries: Files with operators that the model needs and ONNX Runtime has not itself.

    Raises:
        BadInput: There is no such model, it carries no proof, or the provider is not here.
        ProofRefused: The numbers or the bytes are not those of the proof.
        CheckError: The replay crashed, hung or ate the memory.
        ServerUnreachable: MLflow does not answer.
    """
    prepare_children(preload=PRELOAD)
    with tempfile.TemporaryDirectory(prefix="onnxproof-verify-") as scratch:
        folder = Path(model)
        if not folder.is_dir():
            from onnxproof.tracking import download

            folder = download(model, Path(scratch, "model"))
        log = Path(scratch, "verify.log")
        return replay_folder(
            folder, provider=provider, libraries=libraries, limits=Limits(), log=log
        )
