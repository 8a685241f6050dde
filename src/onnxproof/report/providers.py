"""What was found on execution providers besides the CPU's, and on other machines, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from onnxproof.records import (
    GateVerdict,
    Placement,
    ProviderCheck,
    Registration,
    VersionMeasurement,
)
from onnxproof.report.latency import bench_sections
from onnxproof.report.latency_plot import in_markdown
from onnxproof.report.markdown import join, table
from onnxproof.report.parity import parity_table
from onnxproof.units import in_bytes

MOST_NODES: Final = 12


def provider_sections(providers: Sequence[ProviderCheck]) -> list[str]:
    """A heading and what follows it; nothing where the spec names no other provider."""
    if not providers:
        return []
    verdicts = table(
        ("execution provider", "products in", "verdict", "reason"),
        [(p.provider, p.precision, p.verdict.outcome, p.verdict.reason) for p in providers],
    )
    parts = ["## Execution providers", verdicts]
    for provider in providers:
        parts += [f"### {provider.provider}"] if provider.parity or provider.placement else []
        parts += [parity_table(provider.parity)] if provider.parity else []
        parts += [placement_line(provider.placement)] if provider.placement else []
    return [join(*parts)]


def render_measurement(
    registration: Registration, found: VersionMeasurement, folder: Path | None = None
) -> str:
    """A version on the providers of one machine: gates, parity, latency, where time goes.

    Args:
        registration: Of the version.
        found: What is told.
        folder: Holds the samples, for plots of them.
    """
    beside = f", beside the champion, version {found.champion}" if found.champion else ""
    return join(
        f"# {registration.name} version {registration.version}, measured{beside}",
        gate_table(found.gates) if found.gates else "",
        *provider_sections(found.checks),
        *(join(f"## {head}", text) for head, text in bench_sections(found.benchmark)),
        *in_markdown(found.benchmark, folder),
    )


def gate_table(gates: Sequence[GateVerdict]) -> str:
    """Each gate with its number; reasons below the table, where they wrap."""
    rows = [
        (gate.name, gate.outcome, _short(gate, gate.value), _short(gate, gate.threshold))
        for gate in gates
    ]
    return join(
        table(("gate", "outcome", "value", "threshold"), rows),
        "\n".join(f"- **{gate.name}** {gate.outcome}: {gate.reason}" for gate in gates),
    )


def _short(gate: GateVerdict, value: float | None) -> str:
    if value is None:
        return ""
    return in_bytes(value) if gate.name.startswith("max_memory_bytes") else f"{value:.4g}"


def placement_line(placement: Placement) -> str:
    """Which provider took how many nodes, and which stayed on the CPU."""
    nodes = ", ".join(f"{count} on {name}" for name, count in placement.nodes.items())
    share = placement.cpu_time
    time = "" if share is None else f"; {share:.1%} of the time on the CPU"
    if not placement.on_cpu:
        return f"Nodes: {nodes}{time}."
    shown = ", ".join(f"`{node}`" for node in placement.on_cpu[:MOST_NODES])
    more = len(placement.on_cpu) - MOST_NODES
    rest = f" and {more} more" if more > 0 else ""
    return f"Nodes: {nodes}{time}. Left on the CPU: {shown}{rest}."
