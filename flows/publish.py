"""What a run leaves on its Prefect page: a report, a table of latencies, a link to MLflow."""

from __future__ import annotations

import re

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from onnxproof.records import Ladder, Loaded, Proof, Registration
from onnxproof.report import latency_rows, render_proof, render_refusal, render_unchanged


def publish_proof(proof: Proof, registration: Registration) -> None:
    """The whole report, and the latencies as a table that can be sorted."""
    _report(proof.name, render_proof(proof, registration))
    create_table_artifact(
        latency_rows(proof.benchmark),
        key=_key("benchmark", proof.name),
        description=f"Latencies of {proof.name} version {registration.version} and of PyTorch.",
    )
    _link(registration)


def publish_refusal(name: str, loaded: Loaded, ladder: Ladder) -> None:
    """Why no candidate stands, verdict by verdict."""
    _report(name, render_refusal(name, loaded, ladder))


def publish_unchanged(registration: Registration) -> None:
    """Which version the registry has already."""
    _report(registration.name, render_unchanged(registration))
    _link(registration)


def _report(name: str, markdown: str) -> None:
    create_markdown_artifact(markdown, key=_key("report", name), description=f"Report on {name}.")


def _link(registration: Registration) -> None:
    if registration.run_url:
        create_link_artifact(
            registration.run_url,
            link_text=f"{registration.name} version {registration.version} in MLflow",
            key=_key("mlflow-run", registration.name),
        )


def _key(kind: str, name: str) -> str:
    """Prefect takes lowercase letters, digits and dashes."""
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', name.lower())}".strip("-")
