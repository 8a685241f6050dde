"""Latencies for people: a table, ratios with their intervals, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from onnxproof.records import BenchmarkResult, Environment, Latency, Profile, Ratio, Suspicion
from onnxproof.report.markdown import join, table
from onnxproof.samples.grid import label
from onnxproof.units import count, in_bytes, in_ms

MOST_ROWS: Final = 12
"""Of operators and modules; the rest is one row."""
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
    if not any(row["against PyTorch"] for row in rows):
        rows = [{name: row[name] for name in row if name != "against PyTorch"} for row in rows]
    rendered = table(tuple(rows[0]), [tuple(row.values()) for row in rows]) if rows else ""
    notes = [
        f"- {each.over} is {each.ratio:.2f} times as fast as {each.contender} on {each.where} "
        f"(99 % interval {each.low:.2f} to {each.high:.2f}, {each.sittings} sittings)"
        for each in benchmark.speedups
    ]
    notes += [f"- {each.name} skipped: {each.reason}" for each in benchmark.skipped]
    notes += [_suspect(each) for each in benchmark.suspicions]
    notes += _measured_on(benchmark.environment)
    return join(rendered, "\n".join(notes)).rstrip("\n")


def bench_sections(result: BenchmarkResult) -> list[tuple[str, str]]:
    """Headings and tables of a benchmark that stands for itself."""
    return [("Latency", f"{_ratios(result)}{latencies(result)}"), *more_sections(result)]


def more_sections(result: BenchmarkResult) -> list[tuple[str, str]]:
    """What there is beside latency: starts, throughput, and where time goes."""
    found = []
    if result.startups:
        found.append(("Start and memory", _startups(result)))
    if result.throughput:
        found.append(("Throughput", _throughput(result)))
    for each in result.profiles:
        name = f"Where the time of {each.contender} goes on {each.provider}"
        found.append((name, _profile(each)))
    return found


def _ratios(result: BenchmarkResult) -> str:
    lines = [
        f"- {each.contender} takes {each.ratio:.3f} times as long as {each.over}"
        f"{f' on {each.where}' if each.where else ''} (99 % interval {each.low:.3f} to "
        f"{each.high:.3f}, {each.sittings} sittings): {_called(each)}"
        for each in result.ratios
    ]
    return "\n".join(lines) + "\n\n" if lines else ""


def _called(ratio: Ratio) -> str:
    if ratio.low > 1:
        return "slower"
    return "faster" if ratio.high < 1 else "not told apart"


def _startups(result: BenchmarkResult) -> str:
    head = ("contender", "provider", "open", "first run", "new shape", "memory", "device", "file")
    return table(
        head,
        [
            (
                each.contender,
                each.where,
                *(_or_nothing(in_ms, value) for value in (each.open_ms, each.first_run_ms)),
                _or_nothing(in_ms, each.new_shape_ms),
                *(_or_nothing(in_bytes, value) for value in (each.peak_bytes, each.device_bytes)),
                _or_nothing(in_bytes, each.size_bytes),
            )
            for each in result.startups
        ],
    )


def _throughput(result: BenchmarkResult) -> str:
    head = ("shape", "callers", "contender", "provider", "calls/s", "items/s", "p50 ms", "p99 ms")
    return table(
        head,
        [
            (
                label(each.dims),
                each.callers,
                each.contender,
                each.where,
                f"{each.calls_per_second:,.0f}",
                f"{each.items_per_second:,.0f}",
                f"{each.p50_ms:.4g}",
                "" if each.p99_ms is None else f"{each.p99_ms:.4g}",
            )
            for each in result.throughput
        ],
    )


def _profile(profile: Profile) -> str:
    operators = [
        (each.operator, each.provider, each.calls, each.milliseconds, each.share)
        for each in profile.operators
    ]
    modules = [
        (each.module or "(the model)", each.milliseconds, each.share) for each in profile.modules
    ]
    fused = ", ".join(f"{count} {name}" for name, count in profile.fused.items())
    work = f", {profile.flops / 1e9:.3g} GFLOP" if profile.flops else ""
    return join(
        table(("operator", "provider", "kernels", "ms", "share"), _longest(operators)),
        table(("module", "ms", "share"), _longest(modules)) if modules else "",
        f"Kernels of a run take {in_ms(profile.kernels_ms)} (median of {profile.runs} runs){work}."
        + (f" ONNX Runtime put in: {fused}." if fused else ""),
    )


def _longest(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[object, ...]]:
    """The first rows, milliseconds and share made readable, and one for all others."""
    for *names, spent, share in rows[:MOST_ROWS]:
        yield (*names, f"{spent:.3g}", _percent(share))
    if rest := rows[MOST_ROWS:]:
        blank = [""] * (len(rest[0]) - 3)
        spent, share = (sum(row[place] for row in rest) for place in (-2, -1))
        yield (f"{len(rest)} more", *blank, f"{spent:.3g}", _percent(share))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _or_nothing(show: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else show(value)


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
