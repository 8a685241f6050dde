"""The one loop over candidates: source variant x strategy x simplifier; produce, check, benchmark.

The flow hands it tasks, the library hands it plain functions; the order is written once, here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NoReturn, Protocol

from onnxproof.choice import choose
from onnxproof.errors import CheckError, ExportError, ProofRefused, StageError
from onnxproof.hints import against_refusal
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Divergence,
    Ladder,
    Simplifier,
    label_of,
)
from onnxproof.spec import Spec, Strategy

SIMPLIFIERS: Final[dict[Literal["first", "fastest"], tuple[Simplifier, ...]]] = {
    "first": ("onnxsim",),
    "fastest": ("onnxsim", "onnxslim", "rewrite"),
}
"""What is made of each plain graph, by ``export.search``."""
PARITY: Final = ("parity", "parity_unoptimized")
"""Verdicts after which it is worth asking where the graph goes wrong."""


class Stages(Protocol):
    """What the loop calls; each raises its own StageError."""

    def export(self, strategy: Strategy, variant: str) -> Candidate:
        """The graph that a strategy gives of a variant of the source."""

    def simplify(self, candidate: Candidate, simplifier: Simplifier) -> Candidate:
        """What the simplifier makes of it."""

    def check(self, candidate: Candidate) -> CheckResult:
        """Verdicts on it."""

    def localise(
        self, candidate: Candidate, check: CheckResult, plain: Candidate | None
    ) -> Divergence:
        """Where a graph that failed parity goes wrong; it raises nothing."""

    def benchmark(self, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        """All of them timed in turn, with PyTorch."""


def climb(spec: Spec, stages: Stages) -> Ladder:
    """Try the spec's strategies in order, on the declared source and then on each of its variants.

    ``search: first`` stops at the first strategy whose graph is proven, so a variant is tried only
    where the declared source gave nothing; ``fastest`` proves all, and takes the fastest beyond
    noise. When nothing is proven, ``chosen`` is None and every attempt has its reason.
    """
    attempts: list[Attempt] = []
    kept: list[Candidate] = []
    for variant in ("", *spec.source.variants):
        for strategy in spec.export.strategies:
            if kept and spec.export.search == "first":
                label = label_of(strategy, variant=variant)
                reason = f"{kept[0].label} was proven first"
                attempts.append(Attempt(label=label, outcome="not_reached", reason=reason))
                continue
            rungs = list(_try(strategy, variant, stages, spec))
            attempts += rungs
            proven = [each.candidate for each in rungs if each.candidate and _is_proven(each)]
            kept += proven if spec.export.search == "fastest" else proven[-1:]
    if not kept:
        return Ladder(attempts=tuple(attempts))
    benchmark = stages.benchmark(tuple(kept))
    chosen, reasons = choose(kept, benchmark.ratios)
    for index, rung in enumerate(attempts):
        reason = reasons.get(rung.label, rung.reason)
        attempts[index] = rung.model_copy(
            update={"chosen": rung.candidate == chosen, "reason": reason}
        )
    return Ladder(attempts=tuple(attempts), chosen=chosen, benchmark=benchmark)


def refuse(ladder: Ladder) -> NoReturn:
    """Say why nothing was proven.

    Raises:
        ProofRefused: A graph came out and was wrong.
        CheckError: Graphs came out, and the check broke on each.
        ExportError: No strategy gave a graph.
    """
    failed = [rung for rung in ladder.attempts if rung.outcome == "failed"]
    reasons = "; ".join(map(_told, failed))
    advised: dict[str, list[str]] = {}
    for rung in failed:
        if rung.hint:
            advised.setdefault(rung.hint, []).append(rung.label)
    for hint, labels in advised.items():
        reasons += f". For {' and '.join(labels)}: {hint}"
    if any(rung.check is not None for rung in ladder.attempts):
        raise ProofRefused(f"no candidate was proven, so nothing is registered. {reasons}")
    if any(rung.candidate is not None for rung in ladder.attempts):
        raise CheckError(f"no candidate could be checked, so nothing is registered. {reasons}")
    raise ExportError(f"no strategy gave an ONNX graph. {reasons}")


def _told(rung: Attempt) -> str:
    where = f" (at {rung.where})" if rung.where else ""
    if rung.divergence is None:
        return f"{rung.label}: {rung.reason}{where}"
    sentence, saved = rung.divergence.sentence, rung.divergence.reproducer
    alone = f" (alone in {saved.path})" if saved else ""
    where = "" if rung.where in sentence else where
    return f"{rung.label}: {rung.reason}{where}; {sentence}{alone}"


def _try(strategy: Strategy, variant: str, stages: Stages, spec: Spec) -> Iterator[Attempt]:
    """The plain graph of one strategy, then what each simplifier makes of it."""
    plain = None
    try:
        plain = stages.export(strategy, variant)
        verdict = stages.check(plain)
    except StageError as error:
        label = label_of(strategy, variant=variant)
        yield _failed(label, error, plain)
        return
    yield _attempt(plain, verdict, stages)
    for simplifier in SIMPLIFIERS[spec.export.search]:
        if verdict.proven:
            yield _simplified(plain, simplifier, stages, spec)
        else:
            label = label_of(strategy, simplifier, variant)
            reason = "the plain graph is not proven"
            yield Attempt(label=label, outcome="not_reached", reason=reason)


def _simplified(plain: Candidate, simplifier: Simplifier, stages: Stages, spec: Spec) -> Attempt:
    label = label_of(plain.strategy, simplifier, plain.variant)
    candidate = None
    try:
        candidate = stages.simplify(plain, simplifier)
        if worse := _worse(candidate, plain, spec):
            # It would not be taken if it were proven, so nobody waits for its check.
            return Attempt(label=label, outcome="not_reached", reason=worse, candidate=candidate)
        verdict = stages.check(candidate)
    except StageError as error:
        return _failed(label, error, candidate)
    return _attempt(candidate, verdict, stages, plain)


def _worse(simplified: Candidate, plain: Candidate, spec: Spec) -> str:
    """Why a simplified graph is not taken even if it is right; empty when it may be."""
    if simplified.model.sha256 == plain.model.sha256:
        return f"{simplified.simplifier} found nothing to change"
    before, after = plain.size_bytes, simplified.size_bytes
    allowed = spec.gates.max_size_growth
    if after > before * (1 + allowed):
        # Both sizes, since a share of a tiny file is a large number about nothing.
        return f"the file grew from {before} to {after} bytes (gates.max_size_growth = {allowed:g})"
    if simplified.nodes > plain.nodes and spec.export.search == "first":  # fastest measures them
        return f"it has {simplified.nodes} nodes, the plain graph {plain.nodes}"
    return ""


def _is_proven(attempt: Attempt) -> bool:
    return attempt.check is not None and attempt.check.proven


def _failed(label: str, error: StageError, candidate: Candidate | None) -> Attempt:
    return Attempt(
        label=label,
        outcome="failed",
        reason=str(error),
        where=error.where,
        hint=error.hint,
        candidate=candidate,
    )


def _attempt(
    candidate: Candidate, verdict: CheckResult, stages: Stages, plain: Candidate | None = None
) -> Attempt:
    where, hint = against_refusal(candidate, verdict)
    divergence = None
    if any(each.name in PARITY and each.outcome == "failed" for each in verdict.verdicts):
        divergence = stages.localise(candidate, verdict, plain)
        where = where or divergence.line
    return Attempt(
        label=candidate.label,
        outcome="passed" if verdict.proven else "failed",
        reason=verdict.reason or "proven",
        where=where,
        hint=hint,
        candidate=candidate,
        check=verdict,
        divergence=divergence,
    )
