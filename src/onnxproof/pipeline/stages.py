"""What a run calls: one protocol, which Prefect tasks and plain functions both fill."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    CheckResult,
    Comparison,
    Divergence,
    Loaded,
    MeasuredElsewhere,
    Proof,
    Registration,
    Run,
    SearchResult,
    SimplifierName,
    Work,
)
from onnxproof.spec import Elsewhere, Gates, Spec, StrategyName


class CandidateStages(Protocol):
    """The stages of the search over candidates, in their order."""

    def export(self, run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
        """The graph that a strategy gives of a variant of the source."""

    def simplify(self, run: Run, candidate: Candidate, simplifier: SimplifierName) -> Candidate:
        """What a simplifier makes of a plain graph."""

    def check(self, run: Run, candidate: Candidate) -> CheckResult:
        """Verdicts on a graph; a failed one is a result."""

    def localize(
        self, run: Run, candidate: Candidate, check: CheckResult, plain: Candidate | None = None
    ) -> Divergence:
        """Where a graph that failed parity goes wrong; it raises nothing."""

    def benchmark(self, run: Run, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        """PyTorch and proven candidates, timed in turn."""


class Stages(CandidateStages, Protocol):
    """The stages of a run, in their order; each raises its own OnnxproofError."""

    def look_up(self, name: str, key: str) -> Registration | None:
        """The registered version with this proof key; None when there is none."""

    def load(self, spec: Spec, work: Work) -> Loaded:
        """The module's facts, and its reference: inputs and PyTorch's outputs."""

    # Here come those of the candidates, then:

    def conclude(self, run: Run, key: str, search: SearchResult) -> Proof:
        """The proof of the chosen candidate, with its files in the work folder."""

    def register(self, proof: Proof, folder: Path) -> Registration:
        """The new version, with the alias ``challenger``."""

    def measure_elsewhere(
        self, asked: Elsewhere, registration: Registration, gates: Gates
    ) -> MeasuredElsewhere:
        """What another machine found of the version."""

    def compare(
        self,
        spec: Spec,
        work: Work,
        registration: Registration,
        elsewhere: tuple[MeasuredElsewhere, ...] = (),
    ) -> Comparison:
        """What the gates say of the version beside the champion."""

    def promote(
        self,
        registration: Registration,
        mode: Literal["auto", "never"],
        comparison: Comparison | None = None,
    ) -> Registration:
        """The version, with the aliases it has afterwards."""
