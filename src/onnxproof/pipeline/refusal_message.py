"""Why nothing was proven, as the error that ends the run."""

from __future__ import annotations

from typing import NoReturn

from onnxproof.errors import CheckError, ExportError, ProofRefused
from onnxproof.records import (
    Attempt,
    SearchResult,
)


def refuse(search: SearchResult) -> NoReturn:
    """Say why nothing was proven.

    Raises:
        ProofRefused: A graph came out and was wrong.
        CheckError: Graphs came out, and the check broke on each.
        ExportError: No strategy gave a graph.
    """
    failed = [attempt for attempt in search.attempts if attempt.outcome == "failed"]
    reasons = "; ".join(map(_describe, failed))
    advised: dict[str, list[str]] = {}
    for attempt in failed:
        if attempt.hint:
            advised.setdefault(attempt.hint, []).append(attempt.label)
    for hint, labels in advised.items():
        reasons += f". For {' and '.join(labels)}: {hint}"
    if any(attempt.check is not None for attempt in search.attempts):
        raise ProofRefused(f"no candidate was proven, so nothing is registered. {reasons}")
    if any(attempt.candidate is not None for attempt in search.attempts):
        raise CheckError(f"no candidate could be checked, so nothing is registered. {reasons}")
    raise ExportError(f"no strategy gave an ONNX graph. {reasons}")


def _describe(attempt: Attempt) -> str:
    where = f" (at {attempt.where})" if attempt.where else ""
    if attempt.divergence is None:
        return f"{attempt.label}: {attempt.reason}{where}"
    sentence, saved = attempt.divergence.sentence, attempt.divergence.reproducer
    alone = f" (alone in {saved.path})" if saved else ""
    where = "" if attempt.where in sentence else where
    return f"{attempt.label}: {attempt.reason}{where}; {sentence}{alone}"
