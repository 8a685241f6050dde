"""Replay a proof on this machine: of a folder, or of a model version that the registry keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxproof.errors import BadInput, CheckError, ProofRefused, one_line
from onnxproof.isolation.child import run_in_child
from onnxproof.spec import CPU, Limits


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: one line for each output, and the verdict."""

    holds: bool
    lines: tuple[str, ...]


def replay_folder(
    folder: Path,
    *,
    provider: str = CPU,
    libraries: Sequence[str] = (),
    limits: Limits,
    log: Path,
) -> Replay:
    """Replay the proof in ``folder``, in a child; the fork server is running.

    Raises:
        BadInput: The folder holds no whole proof, or the provider is not here.
        ProofRefused: The numbers or the bytes are not those of the proof.
        CheckError: The replay crashed, hung or ate the memory.
    """
    if not (folder / "proof.json").is_file():
        raise BadInput(f"{folder} holds no proof.json, so there is nothing to replay")
    return run_in_child(
        replay_in_child,
        folder,
        provider,
        tuple(libraries),
        failed=CheckError,
        limits=limits,
        log=log,
        doing="replay the proof of what was fetched",
    )


def replay_in_child(folder: Path, provider: str, libraries: tuple[str, ...]) -> Replay:
    """In the child: the very program that travels with the model."""
    from onnxproof.proof import replay

    try:
        same, rows = replay.same_bytes(folder), replay.replay(folder, provider, libraries)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"cannot replay {folder}: {error}") from None
    except Exception as error:  # ONNX Runtime raises classes of its own, without a common base
        text = one_line(error)
        raise ProofRefused(f"the proof does not hold: ONNX Runtime failed: {text}") from None
    lines = replay.findings(rows, same, provider)
    if not replay.holds(rows, same):
        raise ProofRefused("; ".join(lines))
    return Replay(holds=True, lines=tuple(lines))
