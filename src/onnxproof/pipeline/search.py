"""The search over candidates: source variant x strategy x simplifier; export, check, benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from onnxproof.errors import StageError
from onnxproof.export.hints import against_refusal
from onnxproof.gates.selection import choose
from onnxproof.gates.simplification import grown, less_fused, no_gain
from onnxproof.pipeline.stages import CandidateStages
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Run,
    SearchResult,
    SimplifierName,
    label_of,
)
from onnxproof.simplify.simplifiers import simplifiers_of
from onnxproof.spec import StrategyName

SIDE_BY_SIDE_BYTES: Final = 2**30
"""Of a graph with its weights; two larger ones and PyTorch would be open at once to be timed."""
PARITY: Final = ("parity", "parity_unoptimized")
"""Verdicts after which it is worth asking where the graph goes wrong."""


def search_candidates(run: Run, stages: CandidateStages) -> SearchResult:
    """Try the spec's strategies in order, on the declared source and then on each of its variants.

    ``search: first`` stops at the first strategy whose graph is proven, so a variant is tried only
    where the declared source gave nothing; ``fastest`` proves all, and takes the fastest beyond
    noise. When nothing is proven, ``chosen`` is None and every attempt has its reason.
    """
    search = _Search(run, stages)
    for variant in ("", *run.spec.source.variants):
        for strategy in run.spec.export.strategies:
            if search.chosen is not None:
                reason = f"{search.chosen.label} was proven first"
                search.leave_out(label_of(strategy, variant=variant), reason)
                continue
            plain = search.export_and_check(strategy, variant)
            if plain.outcome != "passed":
                search.leave_out_simplified(plain, strategy, variant)
            elif search.proves_all:
                search.simplify_with_all(plain)
            else:
                search.simplify_until_kept(plain)
    if search.proves_all:
        search.choose_fastest()
    return search.result()


class _Search:
    """The attempts so far, and what was chosen of them."""

    def __init__(self, run: Run, stages: CandidateStages) -> None:
        self.run, self.stages = run, stages
        self.proves_all = run.spec.export.search == "fastest"
        self.simplifiers = simplifiers_of(run.spec.export.search)
        self.attempts: list[Attempt] = []
        self.chosen: Candidate | None = None
        self.benchmark: BenchmarkResult | None = None

    def result(self) -> SearchResult:
        """Every attempt, the chosen one marked."""
        attempts = tuple(
            attempt.model_copy(update={"chosen": attempt.candidate == self.chosen})
            if self.chosen is not None
            else attempt
            for attempt in self.attempts
        )
        return SearchResult(attempts=attempts, chosen=self.chosen, benchmark=self.benchmark)

    def leave_out(self, label: str, reason: str) -> None:
        """Note a candidate that is not made."""
        self.attempts.append(Attempt(label=label, outcome="not_reached", reason=reason))

    def leave_out_simplified(self, plain: Attempt, strategy: StrategyName, variant: str) -> None:
        """Note that a plain graph that is not proven is not simplified, where there is one."""
        for simplifier in self.simplifiers if plain.check else ():
            label = label_of(strategy, simplifier, variant)
            self.leave_out(label, "the plain graph is not proven")

    def export_and_check(self, strategy: StrategyName, variant: str) -> Attempt:
        """The graph of one strategy as the exporter gives it."""
        candidate = None
        try:
            candidate = self.stages.export(self.run, strategy, variant)
            verdict = self.stages.check(self.run, candidate)
        except StageError as error:
            attempt = _broken(label_of(strategy, variant=variant), error, candidate)
        else:
            attempt = self._checked(candidate, verdict, None)
        self.attempts.append(attempt)
        return attempt

    def simplify_with_all(self, plain: Attempt) -> None:
        """Every simplifier's graph, checked."""
        for simplifier in self.simplifiers:
            self.attempts.append(self._simplify_and_check(plain, simplifier))

    def simplify_until_kept(self, plain: Attempt) -> None:
        """Choose the first simplified graph that is proven and not slower, else the plain one.

        Another simplifier is tried only where one broke, was wrong or gave a slower graph.
        """
        assert plain.candidate is not None
        self.chosen, stop = plain.candidate, ""
        for simplifier in self.simplifiers:
            if stop:
                label = label_of(plain.candidate.strategy, simplifier, plain.candidate.variant)
                self.leave_out(label, stop)
                continue
            attempt = self._simplify_and_check(plain, simplifier)
            self.attempts.append(attempt)
            if attempt.candidate is None:
                continue
            if no_gain(attempt.candidate, plain.candidate, self.run.spec):
                stop = f"{plain.label} was chosen"  # another simplifier hardly finds more
            elif attempt.outcome == "passed" and not self._is_slower(attempt, plain.candidate):
                stop = f"{self.chosen.label} was chosen"
        self.benchmark = self.benchmark or self.stages.benchmark(self.run, (self.chosen,))

    def choose_fastest(self) -> None:
        """Time all that was proven, and choose."""
        proven = [
            attempt.candidate
            for attempt in self.attempts
            if attempt.candidate is not None and attempt.outcome == "passed"
        ]
        if proven:
            self._time_and_choose(tuple(proven), timed=tuple(proven))

    def _is_slower(self, attempt: Attempt, plain: Candidate) -> bool:
        """Choose between a proven simplified graph and its plain one; large ones are not timed."""
        simplified = attempt.candidate
        assert simplified is not None
        if plain.size_bytes > SIDE_BY_SIDE_BYTES:
            self.chosen = simplified
            self._give_reasons(
                {attempt.label: "proven; it is too large to be timed beside the plain graph"}
            )
            return False
        # Listed first, the simplified graph wins a tie with as many nodes.
        self._time_and_choose((simplified, plain), timed=(plain, simplified))
        assert self.benchmark is not None
        return any(
            ratio.runner == attempt.label and ratio.low > 1 for ratio in self.benchmark.ratios
        )

    def _time_and_choose(
        self, candidates: tuple[Candidate, ...], *, timed: tuple[Candidate, ...]
    ) -> None:
        self.benchmark = self.stages.benchmark(self.run, timed)
        self.chosen, reasons = choose(candidates, self.benchmark.ratios)
        self._give_reasons(reasons)

    def _give_reasons(self, reasons: Mapping[str, str]) -> None:
        self.attempts = [
            attempt.model_copy(update={"reason": reasons.get(attempt.label, attempt.reason)})
            for attempt in self.attempts
        ]

    def _simplify_and_check(self, plain: Attempt, simplifier: SimplifierName) -> Attempt:
        assert plain.candidate is not None
        assert plain.check is not None
        label = label_of(plain.candidate.strategy, simplifier, plain.candidate.variant)
        candidate = None
        try:
            candidate = self.stages.simplify(self.run, plain.candidate, simplifier)
            pair = (candidate, plain.candidate, self.run.spec)
            if worse := no_gain(*pair) or grown(*pair):
                # It would not be taken if it were proven, so nobody waits for its check.
                return Attempt(
                    label=label, outcome="not_reached", reason=worse, candidate=candidate
                )
            verdict = self.stages.check(self.run, candidate)
        except StageError as error:
            return _broken(label, error, candidate)
        attempt = self._checked(candidate, verdict, plain.candidate)
        if attempt.outcome != "passed" or self.proves_all:
            return attempt
        if lost := less_fused(verdict, plain.check):
            return attempt.model_copy(update={"outcome": "skipped", "reason": lost})
        return attempt

    def _checked(
        self, candidate: Candidate, check: CheckResult, plain: Candidate | None
    ) -> Attempt:
        where, hint = against_refusal(candidate, check)
        divergence = None
        if any(row.name in PARITY and row.outcome == "failed" for row in check.verdicts):
            divergence = self.stages.localize(self.run, candidate, check, plain)
            where = where or divergence.line
        return Attempt(
            label=candidate.label,
            outcome="passed" if check.proven else "failed",
            reason=check.reason or "proven",
            where=where,
            hint=hint,
            candidate=candidate,
            check=check,
            divergence=divergence,
        )


def _broken(label: str, error: StageError, candidate: Candidate | None) -> Attempt:
    return Attempt(
        label=label,
        outcome="failed",
        reason=str(error),
        where=error.where,
        hint=error.hint,
        candidate=candidate,
    )
