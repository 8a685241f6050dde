"""Whether a proven version may become champion: every gate of the spec, with its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from onnxproof.records import GateOutcome, GateVerdict, Proof, QualityWarning, Ratio
from onnxproof.spec import CPU, Gates
from onnxproof.units import in_bytes

P99: Final = 0.99
CONFIDENCE: Final = 0.95
MEASUREMENT: Final = "measurement"
"""The verdict on what is suspect; the spec sets no threshold of it."""


class Measured(NamedTuple):
    """What was timed; ``why_not`` where challenger and champion could not be timed."""

    ratios: tuple[Ratio, ...] = ()
    samples_ms: Mapping[str, Sequence[float]] = {}  # the challenger's, by point
    quality_warnings: tuple[QualityWarning, ...] = ()
    why_not: str = ""
    broken: bool = False  # whether that is a fault, and not the way things are
    same_file: bool = False  # so that there is nothing to time


class Case(NamedTuple):
    """What the gates look at."""

    challenger: Proof
    champion: Proof | None
    measured: Measured


class Answer(NamedTuple):
    """What a gate says of a case."""

    outcome: GateOutcome
    reason: str
    value: float | None = None


class Gate(NamedTuple):
    """One gate of the spec."""

    name: str  # of its field in the spec
    threshold: Callable[[Gates], float | None]  # None: the spec does not ask
    ask: Callable[[Case, float], Answer | None]  # with the threshold; None: nothing to ask about
    looks_at_runs: bool = False  # timed or placed on a machine, so that each machine asks it again


def gate_verdicts(
    gates: Gates, challenger: Proof, champion: Proof | None, measured: Measured
) -> tuple[GateVerdict, ...]:
    """Every gate that the spec sets, in the order of ``GATES``, and what is suspect.

    Args:
        gates: Thresholds; None of one asks nothing.
        challenger: The proof of the version that may become champion.
        champion: That of the present one; None where there is none, or it carries no proof.
        measured: What was found by running them.
    """
    case = Case(challenger, champion, measured)
    return (*_asked(gates, case), *_suspect(measured.quality_warnings))


def _asked(gates: Gates, case: Case) -> Iterator[GateVerdict]:
    for gate in GATES:
        threshold = gate.threshold(gates)
        answer = None if threshold is None else gate.ask(case, threshold)
        if answer is not None:
            yield GateVerdict(name=gate.name, threshold=threshold, **answer._asdict())


def _suspect(warnings: Sequence[QualityWarning]) -> Iterator[GateVerdict]:
    """What is suspect decides nothing, whatever the other gates made of it."""
    for warning in warnings[:1]:
        more = f", and {len(warnings) - 1} more" if len(warnings) > 1 else ""
        reason = f"{warning.rule}, {warning.runner} on {warning.where}: {warning.reason}{more}"
        yield GateVerdict(name=MEASUREMENT, outcome="inconclusive", reason=reason)


def undecided(
    gates: Gates, ratios: Sequence[Ratio], samples_ms: Mapping[str, Sequence[float]]
) -> bool:
    """Whether longer timing could still settle a gate."""
    most, most_ms = _most_latency(gates), gates.max_p99_ms
    if most is not None and any(_decided(ratio, most) == "inconclusive" for ratio in ratios):
        return True
    return most_ms is not None and any(
        _p99_outcome(sample, most_ms)[0] == "inconclusive" for sample in samples_ms.values()
    )


def _metric(case: Case, most: float) -> Answer | None:
    mine = case.challenger.check.metric
    if mine is None or mine.onnx is None:
        return None
    other = case.champion.check.metric if case.champion else None
    if other is None or other.onnx is None or (other.name, other.rows) != (mine.name, mine.rows):
        return Answer("not_applicable", "no champion was scored on the same rows")
    worse = other.onnx - mine.onnx if mine.better == "higher" else mine.onnx - other.onnx
    reason = (
        f"{mine.name} {mine.onnx:.4f}, the champion {other.onnx:.4f}; a drop of {most:g} is allowed"
    )
    return Answer("failed" if worse > most else "passed", reason, worse)


def _size(case: Case, most: float) -> Answer:
    if case.champion is None:
        return _without_champion(case.measured)
    mine, other = case.challenger.chosen.size_bytes, case.champion.chosen.size_bytes
    reason = f"{in_bytes(mine)}, the champion {in_bytes(other)}, and {most:g} times that is allowed"
    return Answer("passed" if mine <= most * other else "failed", reason, mine / other)


def _without_champion(measured: Measured) -> Answer:
    outcome: GateOutcome = "inconclusive" if measured.broken else "not_applicable"
    return Answer(outcome, measured.why_not or "there is no champion")


def _most_latency(gates: Gates) -> float | None:
    return None if gates.max_latency_regression is None else 1 + gates.max_latency_regression


def _latency(case: Case, most: float) -> Answer:
    measured = case.measured
    if measured.same_file:
        return Answer("passed", "the champion is the same file", 1.0)
    if not measured.ratios:
        return _without_champion(measured)
    worst = max(measured.ratios, key=lambda ratio: (_decided(ratio, most) != "passed", ratio.high))
    reason = (
        f"{worst.ratio:.3f} times the latency of {worst.over} (99 % interval "
        f"{worst.low:.3f} to {worst.high:.3f}), and {most:g} is allowed"
    )
    return Answer(_decided(worst, most), reason, worst.ratio)


def _decided(ratio: Ratio, most: float) -> GateOutcome:
    if ratio.high <= most:
        return "passed"
    return "failed" if ratio.low > most else "inconclusive"


def _speedup(case: Case, least: float) -> Answer:
    value = case.challenger.benchmark.speedup(case.challenger.chosen.label)
    if value is None:
        return Answer("not_applicable", "PyTorch was not timed beside it")
    reason = f"{value:.2f} times as fast as PyTorch eager, and {least:g} is asked for"
    return Answer("passed" if value >= least else "failed", reason, value)


def _p99(case: Case, most: float) -> Answer:
    samples_ms = case.measured.samples_ms
    if not samples_ms:
        return Answer("inconclusive", case.measured.why_not or "it was not timed")
    found = {point: _p99_outcome(sample, most) for point, sample in samples_ms.items()}
    order: tuple[GateOutcome, ...] = ("failed", "inconclusive", "passed")
    point = min(found, key=lambda label: order.index(found[label][0]))
    outcome, (low, high) = found[point]
    reason = (
        f"the 99th percentile of {len(samples_ms[point])} calls at {point} lies between {low:.3g} "
        f"and {high:.3g} ms, and {most:g} ms is allowed"
    )
    return Answer(outcome, reason, high)


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


def _memory(case: Case, most: float) -> Answer:
    value = case.challenger.benchmark.peak_bytes(case.challenger.chosen.label)
    if value is None:
        return Answer("inconclusive", "its proof does not have it; prove it again with --force")
    reason = f"opening and running it takes {in_bytes(value)}, and {in_bytes(most)} are allowed"
    return Answer("passed" if value <= most else "failed", reason, value)


def _placement(case: Case, most: float) -> Answer:
    checks = case.challenger.check.providers
    placed = [check.placement for check in checks if check.placement and check.provider != CPU]
    if not placed:
        return Answer("not_applicable", "no other provider than the CPU's was asked")
    worst = max(placed, key=lambda placement: placement.cpu_nodes)
    reason = (
        f"{worst.provider} leaves {len(worst.on_cpu)} of {sum(worst.nodes.values())} nodes to the "
        f"CPU, a share of {worst.cpu_nodes:.3g}, and {most:g} is allowed"
    )
    return Answer("passed" if worst.cpu_nodes <= most else "failed", reason, worst.cpu_nodes)


GATES: Final[tuple[Gate, ...]] = (
    Gate("max_metric_drop", lambda gates: gates.max_metric_drop, _metric),
    Gate("max_size_growth", lambda gates: 1 + gates.max_size_growth, _size),
    Gate("max_latency_regression", _most_latency, _latency, looks_at_runs=True),
    Gate("min_speedup_vs_pytorch", lambda gates: gates.min_speedup_vs_pytorch, _speedup),
    Gate("max_p99_ms", lambda gates: gates.max_p99_ms, _p99, looks_at_runs=True),
    Gate("max_memory_bytes", lambda gates: gates.max_memory_bytes, _memory),
    Gate(
        "max_cpu_placement", lambda gates: gates.max_cpu_placement, _placement, looks_at_runs=True
    ),
)
"""In the order of their verdicts; ``docs/promotion.md`` says how to add one."""
