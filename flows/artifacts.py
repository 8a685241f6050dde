"""What a run leaves on its Prefect page: a report, a table of latencies, a link to MLflow."""

from __future__ import annotations

import re
from pathlib import Path

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from onnxproof.records import (
    ExportOutcome,
    Loaded,
    Proof,
    Registration,
    SearchResult,
    VersionMeasurement,
    Work,
)
from onnxproof.report.latency import latency_rows
from onnxproof.report.proof import (
    render_gates,
    render_proof,
    render_refusal,
    render_unchanged,
)
from onnxproof.report.providers import render_measurement


def publish(ended: ExportOutcome) -> None:
    """What a run that ended well has to show."""
    assert ended.registration is not None
    if ended.proof is None or ended.status == "unchanged":
        _report(ended.name, render_unchanged(ended.registration))
    else:
        folder = Path(ended.proof_path).parent if ended.proof_path else None
        _publish_proof(ended.proof, ended.registration, folder)
    if ended.gates:
        create_markdown_artifact(
            render_gates(ended.registration, ended.gates),
            key=_key("gates", ended.name),
            description=f"Whether {ended.name} may become champion.",
        )
    _link(ended.registration)


def _publish_proof(proof: Proof, registration: Registration, folder: Path | None) -> None:
    """The whole report, and the latencies as a table that can be sorted."""
    _report(proof.name, render_proof(proof, registration, folder))
    create_table_artifact(
        latency_rows(proof.benchmark),
        key=_key("benchmark", proof.name),
        description=f"Latencies of {proof.name} version {registration.version} and of PyTorch.",
    )


def publish_measurement(registration: Registration, found: VersionMeasurement, work: Work) -> None:
    """What a version did on the machine of this run."""
    create_markdown_artifact(
        render_measurement(registration, found, Path(work.folder)),
        key=_key("measured", registration.name),
        description=f"{registration.name} version {registration.version} on this machine.",
    )
    _link(registration)


def publish_refusal(name: str, loaded: Loaded, search: SearchResult) -> None:
    """Why no candidate was proven, verdict by verdict."""
    _report(name, render_refusal(name, loaded, search))


def _report(name: str, markdown: str) -> None:
    create_markdown_artifact(markdown, key=_key("report", name), description=f"Report on {name}.")


def _link(registration: Registration) -> None:
    if registration.run_url:
        create_link_artifact(
            registration.run_url,
            link_text=f"{registration.name} version {registration.version} in MLflow",
            key=_key("mlflow-run", registration.name),
            description="Parameters, metrics and files of the proof.",
        )


def _key(kind: str, name: str) -> str:
    """Prefect takes lowercase letters, digits and dashes."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower())}".strip("-")
