"""Why nothing was proven, as the error that ends the run."""

from __future__ import annotations

from typing import NoReturn

from onnxproof.errors import CheckError, ExportError, ProofRefused
from onnxproof.records import (
    Attempt,
    Ladder,
)


def refuse(ladder: Ladder) -> NoReturn:
    """Say why nothing was proven.

    Raises:
        ProofRefused: A graph came out and was wrong.
        CheckError: Graphs came out, and the check broke on each.
        ExportError: No strategy gave a graph.
    """
    failed = [rung for rung in ladder.attempts if rung.outcome == "failed"]
    reasons = "; ".join(map(_told, failed))
    advised: dict[str, list[str]] = {}
    for rung in failed:
        if rung.hint:
            advised.setdefault(rung.hint, []).append(rung.label)
    for hint, labels in advised.items():
        reasons += f". For {' and '.join(labels)}: {hint}"
    if any(rung.check is not None for rung in ladder.attempts):
        raise ProofRefused(f"no candidate was proven, so nothing is registered. {reasons}")
    if any(rung.candidate is not None for rung in ladder.attempts):
        raise CheckError(f"no candidate could be checked, so nothing is registered. {reasons}")
    raise ExportError(f"no strategy gave an ONNX graph. {reasons}")


def _told(rung: Attempt) -> str:
    where = f" (at {rung.where})" if rung.where else ""
    if rung.divergence is None:
        return f"{rung.label}: {rung.reason}{where}"
    sentence, saved = rung.divergence.sentence, rung.divergence.reproducer
    alone = f" (alone in {saved.path})" if saved else ""
    where = "" if rung.where in sentence else where
    return f"{rung.label}: {rung.reason}{where}; {sentence}{alone}"
