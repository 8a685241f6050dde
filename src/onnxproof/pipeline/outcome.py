"""How a run ended, as the one record that people, scripts and the Prefect page are told from."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from onnxproof.errors import OnnxproofError, PromotionRefused, Refused
from onnxproof.proof.local import find_local
from onnxproof.records import Comparison, ExportOutcome, Proof, Registration


def proven(proof: Proof, registration: Registration, folder: Path) -> ExportOutcome:
    """A new version is registered."""
    return _good(proof.proof_key, registration, folder, proof)


def unchanged(proof_key: str, registration: Registration, home: Path) -> ExportOutcome:
    """The registry has a version with this key; the file is named where this machine has it too."""
    found = find_local(home, registration.name, proof_key)
    folder, proof = found or (None, None)
    outcome = _good(proof_key, registration, folder, proof)
    return outcome.model_copy(
        update={
            "status": "unchanged",
            "reason": f"version {registration.version} was proven from the same weights, code, "
            "spec and toolchain",
        }
    )


def compared(ended: ExportOutcome, comparison: Comparison | None) -> ExportOutcome:
    """The same with what the gates of the promotion said; refused where one keeps the alias."""
    if comparison is None:
        return ended
    ended = ended.model_copy(update={"gates": comparison.gates})
    if not comparison.against:
        return ended
    reason = (
        f"{ended.name} version {comparison.challenger} is proven and registered, and stays "
        f"challenger; {comparison.reason}"
    )
    return ended.model_copy(
        update={
            "status": "refused",
            "exit_code": PromotionRefused.exit_code,
            "stage": PromotionRefused.stage,
            "reason": reason,
        }
    )


def refuse_withheld(ended: ExportOutcome) -> None:
    """Raise PromotionRefused for a version that a gate kept from becoming champion."""
    if ended.stage == PromotionRefused.stage:
        raise PromotionRefused(ended.reason, ended)


def failed(error: BaseException, name: str = "") -> ExportOutcome:
    """The run ended with an error, of ours or not."""
    if isinstance(error, PromotionRefused) and error.outcome is not None:
        return cast("ExportOutcome", error.outcome)
    if isinstance(error, OnnxproofError):
        return ExportOutcome(
            status="refused" if isinstance(error, Refused) else "failed",
            exit_code=error.exit_code,
            stage=error.stage,
            reason=str(error),
            name=name,
        )
    interrupted = isinstance(error, KeyboardInterrupt)
    return ExportOutcome(
        status="failed",
        exit_code=130 if interrupted else 1,
        reason="interrupted" if interrupted else f"{type(error).__name__}: {error}",
        name=name,
    )


def _good(
    proof_key: str, registration: Registration, folder: Path | None, proof: Proof | None
) -> ExportOutcome:
    return ExportOutcome(
        status="proven",
        exit_code=0,
        name=registration.name,
        proof_key=proof_key,
        onnx_path=str(folder / "model.onnx") if folder else None,
        model_uri=registration.model_uri,
        proof_path=str(folder / "proof.json") if folder else None,
        run_url=registration.run_url or None,
        proof=proof,
        registration=registration,
    )
