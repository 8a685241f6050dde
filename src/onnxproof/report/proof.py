"""A proof, or a refusal, as Markdown for people; pure functions of records and samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxproof.records import (
    Attempt,
    CheckResult,
    ExportOutcome,
    GateVerdict,
    Loaded,
    Metric,
    OperatorReport,
    Proof,
    Reference,
    Registration,
    SearchResult,
)
from onnxproof.report.divergence import divergence_lines
from onnxproof.report.latency import latencies, more_sections
from onnxproof.report.latency_plot import in_markdown
from onnxproof.report.markdown import join, table
from onnxproof.report.operators import operator_notes, operator_rows
from onnxproof.report.parity import drawn_line, noise_line, parity_table
from onnxproof.report.providers import gate_table, provider_sections
from onnxproof.samples.grid import label
from onnxproof.spec.dims import Dim
from onnxproof.units import count, in_bytes, in_ms


def render_proof(
    proof: Proof, registration: Registration | None = None, folder: Path | None = None
) -> str:
    """The whole proof, verdict first.

    Args:
        proof: What is told.
        registration: Of the version; None for a model that is in no registry.
        folder: Holds the proof's samples, for plots of them.
    """
    where = f" version {registration.version}" if registration else ""
    return join(
        f"# {proof.name}{where}: proven",
        f"{', '.join(closeness(proof))}.",
        *_registered(registration),
        "## Verdicts",
        _verdicts(proof.check),
        "## Parity with PyTorch",
        parity_table(proof.check.parity),
        *noise_line(proof.loaded.reference),
        drawn_line(proof.loaded.reference),
        *_metric(proof.check.metric),
        *provider_sections(proof.check.providers),
        "## Shapes",
        _shapes(proof.spec.dims, proof.loaded.reference),
        "## Latency",
        latencies(proof.benchmark),
        *in_markdown(proof.benchmark, folder),
        *_of_the_chosen(proof),
        "## Attempts",
        _attempts(proof.attempts),
        *_divergences(proof.attempts),
        *_operators(proof.operators),
        "## Made with",
        _made_with(proof),
    )


def _of_the_chosen(proof: Proof) -> Iterator[str]:
    """What else the benchmark tells; where time goes of the chosen graph alone."""
    chosen = proof.chosen.label
    kept = tuple(profile for profile in proof.benchmark.profiles if profile.runner == chosen)
    for heading, text in more_sections(proof.benchmark.model_copy(update={"profiles": kept})):
        yield f"## {heading}"
        yield text


def render_refusal(name: str, loaded: Loaded, search: SearchResult) -> str:
    """What was tried, how each attempt ended, and the verdicts on each graph that came out."""
    parts = ["## Attempts", _attempts(search.attempts), *_divergences(search.attempts)]
    for attempt in search.attempts:
        if attempt.check is not None and not attempt.check.proven:
            parts += [f"## Verdicts on {attempt.label}", _verdicts(attempt.check)]
            parts += [parity_table(attempt.check.parity)] if attempt.check.parity else []
            parts += provider_sections(attempt.check.providers)
    covered = [point for point in loaded.reference.points if point.sets]
    return join(
        f"# {name}: refused, nothing is registered",
        f"No candidate was proven. PyTorch itself ran at {count(len(covered), 'shape')}.",
        *parts,
    )


def render_unchanged(registration: Registration) -> str:
    """A run that had nothing to do."""
    return join(
        f"# {registration.name}: unchanged",
        f"Version {registration.version} was proven from the same weights, code, spec and "
        "toolchain.",
        *_registered(registration),
    )


def render_gates(registration: Registration, gates: Sequence[GateVerdict]) -> str:
    """What each gate of the promotion said; reasons below the table, where they wrap."""
    aliases = ", ".join(f"`{alias}`" for alias in registration.aliases) or "none"
    return join(
        f"# {registration.name} version {registration.version}: aliases {aliases}",
        gate_table(gates),
    )


def summarize(outcome: ExportOutcome) -> list[tuple[str, str]]:
    """A few labeled lines for a terminal: what was proven, how close, how fast, where to look."""
    lines: list[tuple[str, str]] = []
    if outcome.registration is not None:
        aliases = ", ".join(outcome.registration.aliases) or "no alias"
        lines.append(("registered", f"{outcome.registration.model_uri} ({aliases})"))
    if outcome.proof is not None:
        lines += list(_summary(outcome.proof))
    asked = [gate for gate in outcome.gates if gate.outcome != "not_applicable"]
    lines += [("gate", f"{gate.name} {gate.outcome}: {gate.reason}") for gate in asked]
    if outcome.status in ("proven", "unchanged"):
        lines += list(_next_steps(outcome))
    return lines


def _summary(proof: Proof) -> Iterator[tuple[str, str]]:
    ranges = ", ".join(f"{name} {_range(dim)}" for name, dim in proof.spec.dims.items())
    yield "ranges", ranges or "one shape, nothing dynamic"
    yield "compared", ", ".join(closeness(proof))
    if (metric := proof.check.metric) is not None and metric.onnx is not None:
        yield (
            metric.name,
            f"{metric.pytorch:.4f} PyTorch, {metric.onnx:.4f} ONNX, on {metric.rows} rows",
        )
    for line in _speed(proof):
        yield "speed", line
    chosen, size = proof.chosen, in_bytes(proof.chosen.size_bytes)
    yield "graph", f"{chosen.label}, opset {chosen.opset}, {chosen.nodes} nodes, {size}"


def _next_steps(outcome: ExportOutcome) -> Iterator[tuple[str, str]]:
    if outcome.proof_path:
        yield "report", outcome.proof_path.removesuffix("proof.json") + "report.md"
    yield "browse", outcome.run_url or "`make up` starts the MLflow and Prefect pages"
    if outcome.model_uri:
        yield "replay", f"onnxproof verify {outcome.model_uri}"


def closeness(proof: Proof) -> Iterator[str]:
    """How much was compared and how near it came, in clauses."""
    points = proof.loaded.reference.points
    covered = [point for point in points if point.sets and point.values != "edges"]
    samples = sum(len(point.sets) for point in covered)
    yield f"{count(len(covered), 'shape')} and {count(samples, 'sample')} against PyTorch"
    if proof.check.edges:
        yield f"{count(len(proof.check.edges), 'edge sample')}"
    if proof.check.parity:
        worst = max(proof.check.parity, key=lambda row: row.budget_used or 0.0)
        yield f"the worst difference is {worst.worst_diff:.2g}, in {worst.name!r}"
        yield f"allowed {worst.atol:.2g} + {worst.rtol:.2g} * |value|"


def _speed(proof: Proof) -> Iterator[str]:
    for latency in proof.benchmark.latencies:
        base = proof.benchmark.pytorch_beside(latency)
        if latency.runner == proof.chosen.label and base is not None:
            yield (
                f"{base.p50_ms / latency.p50_ms:.2f}x PyTorch eager at {label(latency.dims)} "
                f"({in_ms(latency.p50_ms)} against {in_ms(base.p50_ms)}, {latency.where}, "
                f"{count(latency.threads, 'thread')})"
            )


def _registered(registration: Registration | None) -> list[str]:
    if registration is None:
        return []
    aliases = ", ".join(f"`{alias}`" for alias in registration.aliases) or "none"
    run = f" · [MLflow run]({registration.run_url})" if registration.run_url else ""
    return [f"`{registration.model_uri}` · aliases {aliases}{run}"]


def _verdicts(check: CheckResult) -> str:
    return table(
        ("verdict", "outcome", "reason"),
        [(verdict.name, verdict.outcome, verdict.reason) for verdict in check.verdicts],
    )


def _metric(metric: Metric | None) -> list[str]:
    if metric is None or metric.onnx is None:
        return []
    row = (metric.name, f"{metric.pytorch:.4f}", f"{metric.onnx:.4f}", metric.rows)
    return ["## Dataset", table(("metric", "PyTorch", "ONNX", "rows"), [row])]


def _shapes(dims: dict[str, Dim], reference: Reference) -> str:
    covered = [point for point in reference.points if point.sets]
    rows = []
    for name, dim in dims.items():
        sizes = sorted({point.dims[name] for point in covered})
        rows.append((name, _range(dim), ", ".join(map(str, sizes))))
    rendered = table(("dim", "declared", "compared at"), rows) if rows else "Every size is fixed."
    missed = [
        f"- {label(grid_point.dims)}: {grid_point.reason}"
        for grid_point in reference.points
        if grid_point.reason
    ]
    return join(rendered, "Not fully covered:", "\n".join(missed)) if missed else rendered


def _attempts(attempts: Sequence[Attempt]) -> str:
    rows = []
    for attempt in attempts:
        graph = attempt.candidate
        rows.append(
            (
                f"**{attempt.label}**" if attempt.chosen else attempt.label,
                attempt.outcome,
                attempt.reason,
                graph.opset if graph else None,
                graph.nodes if graph else None,
                in_bytes(graph.size_bytes) if graph else None,
            )
        )
    rendered = table(("attempt", "outcome", "reason", "opset", "nodes", "size"), rows)
    advice = [
        f"- {attempt.label}, {f'`{attempt.where}`' if attempt.where else 'no line known'}: "
        f"{attempt.hint}"
        for attempt in attempts
        if attempt.hint
    ]
    return join(rendered, "What may help:", "\n".join(advice)) if advice else rendered


def _divergences(attempts: Sequence[Attempt]) -> list[str]:
    lines = divergence_lines(attempts)
    return ["## Where it goes wrong", "\n".join(lines)] if lines else []


def _operators(report: OperatorReport | None) -> list[str]:
    if report is None:
        return []
    rows = operator_rows(report)
    return [
        "## Operators",
        f"PyTorch's operators by {report.strategy} at opset {report.opset}, before any simplifier.",
        table(tuple(rows[0]), [tuple(row.values()) for row in rows]) if rows else "It has none.",
        *operator_notes(report),
    ]


def _made_with(proof: Proof) -> str:
    versions = {
        "flow": proof.versions.flow,
        "python": proof.versions.python,
        **proof.versions.toolchain,
        "model": f"`{proof.chosen.model.sha256}`",
        "weights": f"`{proof.loaded.weights_sha256}`",
        "proof key": f"`{proof.proof_key}`",
    }
    return table(("what", "version"), list(versions.items()))


def _range(dim: Dim) -> str:
    step = f" in steps of {dim.multiple_of}" if dim.multiple_of > 1 else ""
    return f"{dim.min}..{dim.max}{step}" if not dim.fixed else str(dim.smallest)
