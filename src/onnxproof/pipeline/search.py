"""The one loop over candidates: source variant x strategy x simplifier; produce, check, benchmark.

The flow hands it tasks, the library hands it plain functions; the order is written once, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Protocol

from onnxproof.errors import StageError
from onnxproof.export.hints import against_refusal
from onnxproof.gates.selection import choose
from onnxproof.gates.simplification import grown, less_fused, no_gain
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Divergence,
    SearchResult,
    Simplifier,
    label_of,
)
from onnxproof.spec import Spec, Strategy

SIMPLIFIERS: Final[dict[Literal["first", "fastest"], tuple[Simplifier, ...]]] = {
    "first": ("onnxsim", "onnxslim"),
    "fastest": ("onnxsim", "onnxslim", "rewrite"),
}
"""What is made of each plain graph, by ``export.search``; ``first`` takes the first that holds."""
SIDE_BY_SIDE_BYTES: Final = 2**30
"""Of a graph with its weights; two larger ones and PyTorch would be open at once to be timed."""
_TOO_LARGE: Final = "it is too large to be timed beside the plain graph"
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

    def localize(
        self, candidate: Candidate, check: CheckResult, plain: Candidate | None
    ) -> Divergence:
        """Where a graph that failed parity goes wrong; it raises nothing."""

    def benchmark(self, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        """All of them timed in turn, with PyTorch."""


def search_candidates(spec: Spec, stages: Stages) -> SearchResult:
    """Try the spec's strategies in order, on the declared source and then on each of its variants.

    ``search: first`` stops at the first strategy whose graph is proven, so a variant is tried only
    where the declared source gave nothing; ``fastest`` proves all, and takes the fastest beyond
    noise. When nothing is proven, ``chosen`` is None and every attempt has its reason.
    """
    return _fastest(spec, stages) if spec.export.search == "fastest" else _first(spec, stages)


def _first(spec: Spec, stages: Stages) -> SearchResult:
    attempts: list[Attempt] = []
    search = SearchResult(attempts=())
    for variant in ("", *spec.source.variants):
        for strategy in spec.export.strategies:
            if search.chosen is not None:
                label = label_of(strategy, variant=variant)
                reason = f"{search.chosen.label} was proven first"
                attempts.append(Attempt(label=label, outcome="not_reached", reason=reason))
                continue
            plain = _plain(strategy, variant, stages)
            search = _guarded(plain, strategy, variant, stages, spec)
            attempts += search.attempts
    return search.model_copy(update={"attempts": tuple(attempts)})


def _guarded(
    plain: Attempt, strategy: Strategy, variant: str, stages: Stages, spec: Spec
) -> SearchResult:
    """The first simplifier whose graph is proven and not slower beyond noise, else the plain."""
    attempts = [plain]
    if plain.candidate is None or not _is_proven(plain):
        attempts += _passed_over("first", plain, strategy, variant)
        return SearchResult(attempts=tuple(attempts))
    chosen, benchmark, settled = plain.candidate, None, ""
    for simplifier in SIMPLIFIERS["first"]:
        if settled:
            label = label_of(strategy, simplifier, variant)
            attempts.append(Attempt(label=label, outcome="not_reached", reason=settled))
            continue
        attempt = _simplified(plain, simplifier, stages, spec)
        attempts.append(attempt)
        if attempt.candidate is None:
            continue
        if no_gain(attempt.candidate, plain.candidate, spec):
            settled = f"{plain.label} stands"  # another simplifier hardly finds more
        elif _is_proven(attempt) and plain.candidate.size_bytes > SIDE_BY_SIDE_BYTES:
            chosen, settled = attempt.candidate, f"{attempt.label} stands"
            attempts = _with_reasons(attempts, {attempt.label: f"proven; {_TOO_LARGE}"})
        elif _is_proven(attempt):
            benchmark = stages.benchmark((plain.candidate, attempt.candidate))
            # The simplified one first: of a tie with as many nodes it stands.
            chosen, reasons = choose((attempt.candidate, plain.candidate), benchmark.ratios)
            attempts = _with_reasons(attempts, reasons)
            slower = {ratio.runner for ratio in benchmark.ratios if ratio.low > 1}
            settled = "" if attempt.label in slower else f"{chosen.label} stands"
    benchmark = benchmark or stages.benchmark((chosen,))
    return SearchResult(attempts=_marked(attempts, chosen), chosen=chosen, benchmark=benchmark)


def _fastest(spec: Spec, stages: Stages) -> SearchResult:
    attempts: list[Attempt] = []
    for variant in ("", *spec.source.variants):
        for strategy in spec.export.strategies:
            plain = _plain(strategy, variant, stages)
            attempts.append(plain)
            if not _is_proven(plain):
                attempts += _passed_over("fastest", plain, strategy, variant)
                continue
            attempts += [
                _simplified(plain, simplifier, stages, spec)
                for simplifier in SIMPLIFIERS["fastest"]
            ]
    kept = [attempt.candidate for attempt in attempts if attempt.candidate and _is_proven(attempt)]
    if not kept:
        return SearchResult(attempts=tuple(attempts))
    benchmark = stages.benchmark(tuple(kept))
    chosen, reasons = choose(kept, benchmark.ratios)
    attempts = _with_reasons(attempts, reasons)
    return SearchResult(attempts=_marked(attempts, chosen), chosen=chosen, benchmark=benchmark)


def _passed_over(
    search: Literal["first", "fastest"], plain: Attempt, strategy: Strategy, variant: str
) -> list[Attempt]:
    """What is not made of a plain graph that is not proven; nothing is said where there is none."""
    return [
        Attempt(
            label=label_of(strategy, simplifier, variant),
            outcome="not_reached",
            reason="the plain graph is not proven",
        )
        for simplifier in SIMPLIFIERS[search]
        if plain.check
    ]


def _with_reasons(attempts: Sequence[Attempt], reasons: Mapping[str, str]) -> list[Attempt]:
    return [
        attempt.model_copy(update={"reason": reasons.get(attempt.label, attempt.reason)})
        for attempt in attempts
    ]


def _marked(attempts: Sequence[Attempt], chosen: Candidate) -> tuple[Attempt, ...]:
    return tuple(
        attempt.model_copy(update={"chosen": attempt.candidate == chosen}) for attempt in attempts
    )


def _plain(strategy: Strategy, variant: str, stages: Stages) -> Attempt:
    """The graph of one strategy as it came out."""
    plain = None
    try:
        plain = stages.export(strategy, variant)
        verdict = stages.check(plain)
    except StageError as error:
        return _failed(label_of(strategy, variant=variant), error, plain)
    return _attempt(plain, verdict, stages)


def _simplified(plain: Attempt, simplifier: Simplifier, stages: Stages, spec: Spec) -> Attempt:
    assert plain.candidate is not None
    assert plain.check is not None
    label = label_of(plain.candidate.strategy, simplifier, plain.candidate.variant)
    candidate = None
    try:
        candidate = stages.simplify(plain.candidate, simplifier)
        better = (candidate, plain.candidate, spec)
        if worse := no_gain(*better) or grown(*better):
            # It would not be taken if it were proven, so nobody waits for its check.
            return Attempt(label=label, outcome="not_reached", reason=worse, candidate=candidate)
        verdict = stages.check(candidate)
    except StageError as error:
        return _failed(label, error, candidate)
    attempt = _attempt(candidate, verdict, stages, plain.candidate)
    measured = spec.export.search == "fastest"
    if _is_proven(attempt) and not measured and (lost := less_fused(verdict, plain.check)):
        return attempt.model_copy(update={"outcome": "skipped", "reason": lost})
    return attempt


def _is_proven(attempt: Attempt) -> bool:
    return attempt.outcome == "passed"


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
    if any(
        verdict_row.name in PARITY and verdict_row.outcome == "failed"
        for verdict_row in verdict.verdicts
    ):
        divergence = stages.localize(candidate, verdict, plain)
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
