"""Latencies for people: a table, ratios with their intervals, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from onnxproof.records import BenchmarkResult, Environment, Latency, Profile, QualityWarning, Ratio
from onnxproof.report.markdown import join, table
from onnxproof.samples.grid import label
from onnxproof.units import count, in_bytes, in_ms

MOST_ROWS: Final = 12
"""Of operators and modules; the rest is one row."""
Row = dict[str, str | int | float | None]


def latency_rows(benchmark: BenchmarkResult) -> list[Row]:
    """One row for each runner, provider and point; plain numbers, for a table."""
    return [
        {
            "shape": label(latency.dims),
            "runner": latency.runner,
            "against PyTorch": _ratio(benchmark, latency),
            "p50 ms": round(latency.p50_ms, 4),
            "p90 ms": None if latency.p90_ms is None else round(latency.p90_ms, 4),
            "min ms": round(latency.min_ms, 4),
            "samples": latency.samples,
            "threads": latency.threads,
            "provider": latency.where,
        }
        for latency in benchmark.latencies
    ]


def latencies(benchmark: BenchmarkResult) -> str:
    """The table, and below it what else there is to know of the numbers."""
    rows = latency_rows(benchmark)
    if not any(row["against PyTorch"] for row in rows):
        rows = [{name: row[name] for name in row if name != "against PyTorch"} for row in rows]
    rendered = table(tuple(rows[0]), [tuple(row.values()) for row in rows]) if rows else ""
    notes = [
        f"- {speedup.over} is {speedup.ratio:.2f} times as fast as {speedup.runner} "
        f"on {speedup.where} (99 % interval {speedup.low:.2f} to {speedup.high:.2f}, "
        f"{speedup.repetitions} repetitions)"
        for speedup in benchmark.speedups
    ]
    notes += [f"- {verdict.name} skipped: {verdict.reason}" for verdict in benchmark.skipped]
    notes += [_quality(warning) for warning in benchmark.quality_warnings]
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
    for profile in result.profiles:
        name = f"Where the time of {profile.runner} goes on {profile.provider}"
        found.append((name, _profile(profile)))
    return found


def _ratios(result: BenchmarkResult) -> str:
    lines = [
        f"- {ratio.runner} takes {ratio.ratio:.3f} times as long as {ratio.over}"
        f"{f' on {ratio.where}' if ratio.where else ''} (99 % interval {ratio.low:.3f} to "
        f"{ratio.high:.3f}, {ratio.repetitions} repetitions): {_called(ratio)}"
        for ratio in result.ratios
    ]
    return "\n".join(lines) + "\n\n" if lines else ""


def _called(ratio: Ratio) -> str:
    if ratio.low > 1:
        return "slower"
    return "faster" if ratio.high < 1 else "not told apart"


def _startups(result: BenchmarkResult) -> str:
    head = ("runner", "provider", "open", "first run", "new shape", "memory", "device", "file")
    return table(
        head,
        [
            (
                startup.runner,
                startup.where,
                *(_or_nothing(in_ms, value) for value in (startup.open_ms, startup.first_run_ms)),
                _or_nothing(in_ms, startup.new_shape_ms),
                *(
                    _or_nothing(in_bytes, value)
                    for value in (startup.peak_bytes, startup.device_bytes)
                ),
                _or_nothing(in_bytes, startup.size_bytes),
            )
            for startup in result.startups
        ],
    )


def _throughput(result: BenchmarkResult) -> str:
    head = ("shape", "callers", "runner", "provider", "calls/s", "items/s", "p50 ms", "p99 ms")
    return table(
        head,
        [
            (
                label(throughput.dims),
                throughput.callers,
                throughput.runner,
                throughput.where,
                f"{throughput.calls_per_second:,.0f}",
                f"{throughput.items_per_second:,.0f}",
                f"{throughput.p50_ms:.4g}",
                "" if throughput.p99_ms is None else f"{throughput.p99_ms:.4g}",
            )
            for throughput in result.throughput
        ],
    )


def _profile(profile: Profile) -> str:
    operators = [
        (
            operator.operator,
            operator.provider,
            operator.calls,
            operator.milliseconds,
            operator.share,
        )
        for operator in profile.operators
    ]
    modules = [
        (module.module or "(the model)", module.milliseconds, module.share)
        for module in profile.modules
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
        spent, share = (sum(row[column] for row in rest) for column in (-2, -1))
        yield (f"{len(rest)} more", *blank, f"{spent:.3g}", _percent(share))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _or_nothing(show: Callable[[float], str], value: float | None) -> str:
    return "" if value is None else show(value)


def _quality(warning: QualityWarning) -> str:
    where = f"{warning.runner} on {warning.where}"
    return f"- **suspect** ({warning.rule}), {where}: {warning.reason}"


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
