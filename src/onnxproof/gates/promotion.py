"""Whether a proven version may become champion: every gate of the spec, with its number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from onnxproof.records import GateOutcome, GateVerdict, Proof, QualityWarning, Ratio
from onnxproof.spec import CPU, Gates
from onnxproof.units import in_bytes

P99: Final = 0.99
CONFIDENCE: Final = 0.95


class Measured(NamedTuple):
    """What a comparison timed; ``why_not`` where challenger and champion could not be timed."""

    ratios: tuple[Ratio, ...] = ()
    samples_ms: Mapping[str, Sequence[float]] = {}  # the challenger's, by point
    quality_warnings: tuple[QualityWarning, ...] = ()
    why_not: str = ""
    broken: bool = False  # whether that is a fault, and not the way things are
    same_file: bool = False  # so that there is nothing to time


class Case(NamedTuple):
    """What the gates look at."""

    gates: Gates
    challenger: Proof
    champion: Proof | None
    measured: Measured


def gate_verdicts(
    gates: Gates, challenger: Proof, champion: Proof | None, measured: Measured
) -> tuple[GateVerdict, ...]:
    """Every gate that the spec sets, in its order.

    Args:
        gates: Thresholds; None of one asks nothing.
        challenger: The proof of the version that may become champion.
        champion: That of the present one; None where there is none, or it carries no proof.
        measured: What was found by running them.
    """
    case = Case(gates, challenger, champion, measured)
    asked = (_metric, _size, _latency, _speedup, _p99, _memory, _placement, _quality)
    return tuple(verdict for ask in asked for verdict in ask(case))


def _latency(case: Case) -> Iterator[GateVerdict]:
    if case.gates.max_latency_regression is None:
        return
    name, most = "max_latency_regression", 1 + case.gates.max_latency_regression
    if case.measured.same_file:
        reason = "the champion is the same file"
        yield GateVerdict(name=name, outcome="passed", value=1.0, threshold=most, reason=reason)
        return
    if not case.measured.ratios:
        outcome: GateOutcome = "inconclusive" if case.measured.broken else "not_applicable"
        reason = case.measured.why_not or "there is no champion"
        yield GateVerdict(name=name, outcome=outcome, threshold=most, reason=reason)
        return
    worst = max(
        case.measured.ratios, key=lambda ratio: (_decided(ratio, most) != "passed", ratio.high)
    )
    outcome = _decided(worst, most)
    reason = (
        f"{worst.ratio:.3f} times the latency of {worst.over} (99 % interval "
        f"{worst.low:.3f} to {worst.high:.3f}), and {most:g} is allowed"
    )
    yield GateVerdict(name=name, outcome=outcome, value=worst.ratio, threshold=most, reason=reason)


def _decided(ratio: Ratio, most: float) -> GateOutcome:
    if ratio.high <= most:
        return "passed"
    return "failed" if ratio.low > most else "inconclusive"


def undecided(
    gates: Gates, ratios: Sequence[Ratio], samples_ms: Mapping[str, Sequence[float]]
) -> bool:
    """Whether longer timing could still settle a gate."""
    if gates.max_latency_regression is not None:
        most = 1 + gates.max_latency_regression
        if any(_decided(ratio, most) == "inconclusive" for ratio in ratios):
            return True
    most_ms = gates.max_p99_ms
    return most_ms is not None and any(
        _p99_outcome(sample, most_ms)[0] == "inconclusive" for sample in samples_ms.values()
    )


def _speedup(case: Case) -> Iterator[GateVerdict]:
    least = case.gates.min_speedup_vs_pytorch
    if least is None:
        return
    name, value = (
        "min_speedup_vs_pytorch",
        case.challenger.benchmark.speedup(case.challenger.chosen.label),
    )
    if value is None:
        reason = "PyTorch was not timed beside it"
        yield GateVerdict(name=name, outcome="not_applicable", threshold=least, reason=reason)
        return
    outcome: GateOutcome = "passed" if value >= least else "failed"
    reason = f"{value:.2f} times as fast as PyTorch eager, and {least:g} is asked for"
    yield GateVerdict(name=name, outcome=outcome, value=value, threshold=least, reason=reason)


def _p99(case: Case) -> Iterator[GateVerdict]:
    most = case.gates.max_p99_ms
    if most is None:
        return
    name = "max_p99_ms"
    if not case.measured.samples_ms:
        reason = case.measured.why_not or "it was not timed"
        yield GateVerdict(name=name, outcome="inconclusive", threshold=most, reason=reason)
        return
    found = {
        point: _p99_outcome(sample, most) for point, sample in case.measured.samples_ms.items()
    }
    order: tuple[GateOutcome, ...] = ("failed", "inconclusive", "passed")
    point = min(found, key=lambda label: order.index(found[label][0]))
    outcome, (low, high) = found[point]
    count = len(case.measured.samples_ms[point])
    reason = (
        f"the 99th percentile of {count} calls at {point} lies between {low:.3g} and "
        f"{high:.3g} ms, and {most:g} ms is allowed"
    )
    yield GateVerdict(name=name, outcome=outcome, value=high, threshold=most, reason=reason)


def _p99_outcome(
    samples_ms: Sequence[float], most: float
) -> tuple[GateOutcome, tuple[float, float]]:
    """By order statistics: so many of the samples lie below the percentile, at that confidence.

    With fewer than 368 samples none of them is known to lie above it, and its upper end is open.
    """
    from scipy import stats

    ordered, count = sorted(samples_ms), len(samples_ms)
    low, high = (int(rank) for rank in stats.binom.interval(CONFIDENCE, count, P99))
    lower = ordered[max(low - 1, 0)]
    upper = ordered[high] if high < count else float("inf")
    if upper <= most:
        return "passed", (lower, upper)
    return ("failed" if lower > most else "inconclusive"), (lower, upper)


def _memory(case: Case) -> Iterator[GateVerdict]:
    most, proof = case.gates.max_memory_bytes, case.challenger
    if most is None:
        return
    name, value = "max_memory_bytes", proof.benchmark.peak_bytes(proof.chosen.label)
    if value is None:
        reason = "its proof does not have it; prove it again with --force"
        yield GateVerdict(name=name, outcome="inconclusive", threshold=most, reason=reason)
        return
    outcome: GateOutcome = "passed" if value <= most else "failed"
    reason = f"opening and running it takes {in_bytes(value)}, and {in_bytes(most)} are allowed"
    yield GateVerdict(name=name, outcome=outcome, value=value, threshold=most, reason=reason)


def _size(case: Case) -> Iterator[GateVerdict]:
    name, most = "max_size_growth", 1 + case.gates.max_size_growth
    if case.champion is None:
        outcome: GateOutcome = "inconclusive" if case.measured.broken else "not_applicable"
        reason = case.measured.why_not or "there is no champion"
        yield GateVerdict(name=name, outcome=outcome, threshold=most, reason=reason)
        return
    mine, other = case.challenger.chosen.size_bytes, case.champion.chosen.size_bytes
    outcome = "passed" if mine <= most * other else "failed"
    reason = f"{in_bytes(mine)}, the champion {in_bytes(other)}, and {most:g} times that is allowed"
    yield GateVerdict(name=name, outcome=outcome, value=mine / other, threshold=most, reason=reason)


def _metric(case: Case) -> Iterator[GateVerdict]:
    mine = case.challenger.check.metric
    if mine is None or mine.onnx is None:
        return
    name, most = "max_metric_drop", case.gates.max_metric_drop
    other = case.champion.check.metric if case.champion else None
    if other is None or other.onnx is None or (other.name, other.rows) != (mine.name, mine.rows):
        reason = "no champion was scored on the same rows"
        yield GateVerdict(name=name, outcome="not_applicable", threshold=most, reason=reason)
        return
    worse = other.onnx - mine.onnx if mine.better == "higher" else mine.onnx - other.onnx
    outcome: GateOutcome = "failed" if worse > most else "passed"
    reason = (
        f"{mine.name} {mine.onnx:.4f}, the champion {other.onnx:.4f}; a drop of {most:g} is allowed"
    )
    yield GateVerdict(name=name, outcome=outcome, value=worse, threshold=most, reason=reason)


def _placement(case: Case) -> Iterator[GateVerdict]:
    most = case.gates.max_cpu_placement
    if most is None:
        return
    name = "max_cpu_placement"
    checks = case.challenger.check.providers
    placed = [check.placement for check in checks if check.placement and check.provider != CPU]
    if not placed:
        reason = "no other provider than the CPU's was asked"
        yield GateVerdict(name=name, outcome="not_applicable", threshold=most, reason=reason)
        return
    worst = max(placed, key=lambda placement: placement.cpu_nodes)
    outcome: GateOutcome = "passed" if worst.cpu_nodes <= most else "failed"
    reason = (
        f"{worst.provider} leaves {len(worst.on_cpu)} of {sum(worst.nodes.values())} nodes to the "
        f"CPU, a share of {worst.cpu_nodes:.3g}, and {most:g} is allowed"
    )
    yield GateVerdict(
        name=name, outcome=outcome, value=worst.cpu_nodes, threshold=most, reason=reason
    )


def _quality(case: Case) -> Iterator[GateVerdict]:
    """What is suspect decides nothing, whatever the other gates made of it."""
    for warning in case.measured.quality_warnings[:1]:
        count = len(case.measured.quality_warnings)
        more = f", and {count - 1} more" if count > 1 else ""
        reason = f"{warning.rule}, {warning.runner} on {warning.where}: {warning.reason}{more}"
        yield GateVerdict(name="measurement", outcome="inconclusive", reason=reason)
