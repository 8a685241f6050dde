"""The one loop over candidates: produce, check, and where the search asks for it benchmark.

The flow hands it tasks, the library hands it plain functions; the order is written once, here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn, Protocol

from onnxproof.errors import CheckError, ExportError, ProofRefused, StageError
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Ladder,
)
from onnxproof.spec import Spec, Strategy


class Stages(Protocol):
    """What the loop calls; each raises its own StageError."""

    def export(self, strategy: Strategy) -> Candidate:
        """The graph that a strategy gives."""

    def simplify(self, candidate: Candidate) -> Candidate:
        """What the simplifier makes of it."""

    def check(self, candidate: Candidate) -> CheckResult:
        """Verdicts on it."""

    def benchmark(self, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        """All of them timed in turn, with PyTorch."""


def climb(spec: Spec, stages: Stages) -> Ladder:
    """Try the spec's strategies in order, and choose among what is proven.

    ``search: first`` stops at the first strategy whose graph is proven; ``fastest`` proves all and
    takes the lowest median. When nothing is proven, ``chosen`` is None and every attempt has its
    reason.
    """
    attempts: list[Attempt] = []
    kept: list[Candidate] = []
    for strategy in spec.export.strategies:
        if kept and spec.export.search == "first":
            reason = f"{kept[0].label} was proven first"
            attempts.append(Attempt(label=strategy, outcome="not_reached", reason=reason))
            continue
        rungs = list(_try(strategy, stages, spec))
        attempts += rungs
        kept += [rung.candidate for rung in rungs if rung.chosen and rung.candidate]
    if not kept:
        return Ladder(attempts=tuple(attempts))
    benchmark = stages.benchmark(tuple(kept))
    chosen = min(kept, key=lambda each: 1 / (benchmark.speedup(each.label) or 1))
    return Ladder(
        attempts=tuple(
            rung.model_copy(update={"chosen": rung.candidate == chosen}) for rung in attempts
        ),
        chosen=chosen,
        benchmark=benchmark,
    )


def refuse(ladder: Ladder) -> NoReturn:
    """Say why nothing was proven.

    Raises:
        ProofRefused: A graph came out and was wrong.
        CheckError: Graphs came out, and the check broke on each.
        ExportError: No strategy gave a graph.
    """
    reasons = "; ".join(
        f"{rung.label}: {rung.reason}" for rung in ladder.attempts if rung.outcome == "failed"
    )
    if any(rung.check is not None for rung in ladder.attempts):
        raise ProofRefused(f"no candidate was proven, so nothing is registered. {reasons}")
    if any(rung.candidate is not None for rung in ladder.attempts):
        raise CheckError(f"no candidate could be checked, so nothing is registered. {reasons}")
    raise ExportError(f"no strategy gave an ONNX graph. {reasons}")


def _try(strategy: Strategy, stages: Stages, spec: Spec) -> Iterator[Attempt]:
    """The plain graph of one strategy, then its simplified one; at most one of them ``chosen``."""
    plain = None
    try:
        plain = stages.export(strategy)
        verdict = stages.check(plain)
    except StageError as error:
        yield Attempt(label=strategy, outcome="failed", reason=str(error), candidate=plain)
        return
    simplified = f"{strategy}+onnxsim"
    if not verdict.proven:
        yield _attempt(plain, verdict, chosen=False)
        reason = "the plain graph is not proven"
        yield Attempt(label=simplified, outcome="not_reached", reason=reason)
        return
    rung = _simplified(plain, stages, spec)
    yield _attempt(plain, verdict, chosen=not rung.chosen)
    yield rung


def _simplified(plain: Candidate, stages: Stages, spec: Spec) -> Attempt:
    label = f"{plain.strategy}+onnxsim"
    candidate = None
    try:
        candidate = stages.simplify(plain)
        if worse := _worse(candidate, plain, spec):
            # It would not be taken if it were proven, so nobody waits for its check.
            return Attempt(label=label, outcome="not_reached", reason=worse, candidate=candidate)
        verdict = stages.check(candidate)
    except StageError as error:
        return Attempt(label=label, outcome="failed", reason=str(error), candidate=candidate)
    return _attempt(candidate, verdict, chosen=verdict.proven)


def _worse(simplified: Candidate, plain: Candidate, spec: Spec) -> str:
    """Why a simplified graph is not taken even if it is right; empty when it may be."""
    before, after = plain.model.size_bytes, simplified.model.size_bytes
    allowed = spec.gates.max_size_growth
    if after > before * (1 + allowed):
        # Both sizes, since a share of a tiny file is a large number about nothing.
        return f"the file grew from {before} to {after} bytes (gates.max_size_growth = {allowed:g})"
    if simplified.nodes > plain.nodes:
        return f"it has {simplified.nodes} nodes, the plain graph {plain.nodes}"
    return ""


def _attempt(candidate: Candidate, verdict: CheckResult, *, chosen: bool) -> Attempt:
    return Attempt(
        label=candidate.label,
        outcome="passed" if verdict.proven else "failed",
        reason=verdict.reason or "proven",
        candidate=candidate,
        check=verdict,
        chosen=chosen,
    )
