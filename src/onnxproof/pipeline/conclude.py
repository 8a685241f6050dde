"""Put the proof together, and leave it in the work folder beside the file it is about."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.errors import CheckError
from onnxproof.export.operators.report_file import read_report
from onnxproof.pipeline.refusal_message import refuse
from onnxproof.proof import versions
from onnxproof.records import Candidate, Proof, Run, SearchResult, Versions, Work, label_of
from onnxproof.report.proof import render_proof


def conclude(run: Run, key: str, search: SearchResult) -> Proof:
    """The proof of the chosen candidate, with ``model.onnx``, ``proof.json`` and ``report.md``.

    Raises:
        ProofRefused: No candidate was proven.
        ExportError: No strategy gave a graph.
        CheckError: The file is no longer the one that was checked.
    """
    spec, work = run.spec, run.work
    chosen, check, benchmark = search.chosen, search.check, search.benchmark
    if chosen is None or check is None or benchmark is None:
        refuse(search)
    model = Artifact.of(work.folder, _name_final(work, chosen))
    weights = Artifact.of(work.folder, chosen.weights.path) if chosen.weights else None
    for file, checked in ((model, check.sha256), (weights, check.weights_sha256)):
        if file is not None and file.sha256 != checked:
            raise CheckError(f"{work.path(file.path)} is not the file that was checked; run again")
    proof = Proof(
        name=spec.name,
        proof_key=key,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=Versions(
            onnxproof=versions.package_version(),
            flow=versions.flow_version(),
            python=platform.python_version(),
            toolchain=versions.toolchain_versions(),
        ),
        spec=spec,
        loaded=run.loaded,
        attempts=search.attempts,
        chosen=chosen.model_copy(update={"model": model, "weights": weights}),
        operators=read_report(work, label_of(chosen.strategy, variant=chosen.variant)),
        check=check,
        benchmark=benchmark,
    )
    _write(Path(work.path("proof.json")), proof.model_dump_json(indent=2))
    _write(Path(work.path("report.md")), render_proof(proof, folder=Path(work.folder)))
    return proof


def _name_final(work: Work, chosen: Candidate) -> str:
    """Give the chosen file its final name too; a hard link, so that no byte moves."""
    final = Path(work.path("model.onnx"))
    final.unlink(missing_ok=True)
    os.link(work.path(chosen.model.path), final)
    return final.name


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")
