"""FakeStages without any graph, for tests of the order in which candidates are tried."""

from __future__ import annotations

import hashlib
from typing import Any

from onnxproof.pipeline.search import search_candidates
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Divergence,
    Ratio,
    Run,
    SearchResult,
    SimplifierName,
)
from onnxproof.spec import Spec, StrategyName
from tests.helpers.graphs import benchmark_of, candidate_of, verdicts_on
from tests.helpers.specs import spec_of


class FakeStages:
    """Real records without any graph; ``broken`` and ``wrong`` say what happens to a label."""

    def __init__(
        self,
        *,
        broken: dict[str, Exception] | None = None,
        wrong: dict[str, str] | None = None,
        unchecked: dict[str, Exception] | None = None,
        sizes: dict[str, int] | None = None,
        nodes: dict[str, int] | None = None,
        digests: dict[str, str] | None = None,
        ratios: tuple[Ratio, ...] = (),
        slower: tuple[str, ...] = (),
        kernels: dict[str, dict[str, int]] | None = None,
    ) -> None:
        self.broken, self.wrong, self.unchecked = broken or {}, wrong or {}, unchecked or {}
        self.sizes, self.nodes, self.ratios = sizes or {}, nodes or {}, ratios
        self.digests, self.slower, self.kernels = digests or {}, slower, kernels or {}
        self.calls: list[str] = []
        self.localized: list[tuple[str, str]] = []
        self.divergence = Divergence(against="", reason="could not be localized: it was not tried")
        self.timed: list[str] = []
        self.rounds: list[list[str]] = []

    def export(self, run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
        return self._make(candidate_of(strategy, variant=variant), "export")

    def simplify(self, run: Run, candidate: Candidate, simplifier: SimplifierName) -> Candidate:
        simplified = candidate.model_copy(update={"simplifier": simplifier, "nodes": 8})
        return self._make(simplified, "simplify")

    def check(self, run: Run, candidate: Candidate) -> CheckResult:
        self.calls.append(f"check {candidate.label}")
        if candidate.label in self.unchecked:
            raise self.unchecked[candidate.label]
        verdicts = verdicts_on(candidate, self.wrong.get(candidate.label, ""))
        return verdicts.model_copy(update={"kernels": self.kernels.get(candidate.label, {})})

    def localize(
        self, run: Run, candidate: Candidate, check: CheckResult, plain: Candidate | None = None
    ) -> Divergence:
        against = plain.label if plain else "PyTorch"
        self.localized.append((candidate.label, against))
        return self.divergence.model_copy(update={"against": against})

    def benchmark(self, run: Run, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        self.timed = [candidate.label for candidate in candidates]
        self.rounds.append(self.timed)
        timed = benchmark_of(**dict.fromkeys(self.timed, 0.5))
        first = self.timed[0]
        shown = tuple(
            Ratio(runner=label, over=first, ratio=1.2, low=1.1, high=1.3, rounds=40)
            for label in self.timed
            if label in self.slower
        )
        return timed.model_copy(update={"ratios": self.ratios or shown})

    def _make(self, candidate: Candidate, stage: str) -> Candidate:
        label = candidate.label
        self.calls.append(f"{stage} {label}")
        if label in self.broken:
            raise self.broken[label]
        size = self.sizes.get(label, candidate.model.size_bytes)
        digest = self.digests.get(label, hashlib.sha256(label.encode()).hexdigest())
        model = candidate.model.model_copy(update={"size_bytes": size, "sha256": digest})
        nodes = self.nodes.get(label, candidate.nodes)
        return candidate.model_copy(update={"model": model, "nodes": nodes})


def searched(spec: Spec, stages: FakeStages) -> SearchResult:
    """The search for a spec; nothing asks for a work folder or a reference."""
    return search_candidates(Run(spec, None, None), stages)  # type: ignore[arg-type]


def asked(search: str = "first", **sections: Any) -> Spec:
    return spec_of(export={"search": search}, **sections)


def attempts_of(search: SearchResult) -> list[tuple[str, str, str]]:
    return [(attempt.label, attempt.outcome, attempt.reason) for attempt in search.attempts]


def attempt_of(search: SearchResult, label: str) -> Attempt:
    return next(attempt for attempt in search.attempts if attempt.label == label)


def chosen(search: SearchResult) -> str:
    """The label that stands; it is the one whose attempt says so."""
    assert search.chosen is not None
    assert [attempt.candidate for attempt in search.attempts if attempt.chosen] == [search.chosen]
    return search.chosen.label
