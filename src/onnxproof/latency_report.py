"""Latencies for people: a table, ratios with their intervals, and what is odd about them."""

from __future__ import annotations

from onnxproof.grid import label
from onnxproof.markdown import count, join, table
from onnxproof.records import BenchmarkResult, Environment, Latency, Suspicion

Row = dict[str, str | int | float | None]


def latency_rows(benchmark: BenchmarkResult) -> list[Row]:
    """One row for each contender, provider and point; plain numbers, for a table."""
    return [
        {
            "shape": label(each.dims),
            "contender": each.contender,
            "against PyTorch": _ratio(benchmark, each),
            "p50 ms": round(each.p50_ms, 4),
            "p90 ms": None if each.p90_ms is None else round(each.p90_ms, 4),
            "min ms": round(each.min_ms, 4),
            "samples": each.samples,
            "threads": each.threads,
            "provider": each.where,
        }
        for each in benchmark.latencies
    ]


def latencies(benchmark: BenchmarkResult) -> str:
    """The table, and below it what else there is to know of the numbers."""
    rows = latency_rows(benchmark)
    rendered = table(tuple(rows[0]), [tuple(row.values()) for row in rows]) if rows else ""
    notes = [
        f"- {each.over} is {each.ratio:.2f} times as fast as {each.contender} on {each.where} "
        f"(95 % interval {each.low:.2f} to {each.high:.2f}, {each.rounds} rounds)"
        for each in benchmark.speedups
    ]
    notes += [f"- {each.name} skipped: {each.reason}" for each in benchmark.skipped]
    notes += [_suspect(each) for each in benchmark.suspicions]
    notes += _measured_on(benchmark.environment)
    return join(rendered, "\n".join(notes)).rstrip("\n")


def _suspect(suspicion: Suspicion) -> str:
    where = f"{suspicion.contender} on {suspicion.where}"
    return f"- **suspect** ({suspicion.rule}), {where}: {suspicion.reason}"


def _measured_on(environment: Environment | None) -> list[str]:
    if environment is None:
        return []
    limit = environment.cgroup_cpus
    parts = [
        environment.cpu_model,
        count(environment.cores, "core"),
        *([f"limited to {limit:g}"] if limit is not None else []),
        *([f"governor {environment.governor}"] if environment.governor else []),
        f"load {environment.load_1m:.2f}",
        *environment.gpus,
    ]
    return [f"- measured on {', '.join(parts)}"]


def _ratio(benchmark: BenchmarkResult, row: Latency) -> str:
    eager = benchmark.pytorch_beside(row)
    return f"{eager.p50_ms / row.p50_ms:.2f}x" if eager else ""
