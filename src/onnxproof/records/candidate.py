"""One graph, and what was found out about it: verdicts, numbers, its place on the ladder."""

from __future__ import annotations

from typing import Literal

from onnxproof.artifact import Artifact
from onnxproof.records.base import Difference, Outcome, Record, Verdict
from onnxproof.records.reference import Metric
from onnxproof.spec import Strategy

Simplifier = Literal["none", "onnxsim"]


class Candidate(Record):
    """One graph: a way out of PyTorch, and what a simplifier made of it."""

    strategy: Strategy
    simplifier: Simplifier
    model: Artifact
    opset: int
    ir_version: int
    nodes: int
    seconds: float

    @property
    def label(self) -> str:
        """``dynamo`` or ``dynamo+onnxsim``."""
        return self.strategy if self.simplifier == "none" else f"{self.strategy}+{self.simplifier}"


class OutputParity(Record):
    """Largest disagreement between PyTorch and ONNX Runtime for one output, over all samples."""

    name: str
    dtype: str
    samples: int
    max_abs_diff: Difference
    max_rel_diff: Difference
    mismatched: int  # elements with |onnx - torch| > atol + rtol * |torch|
    elements: int
    atol: float
    rtol: float
    worst_set: str  # the test_data_set of max_abs_diff
    worst_index: tuple[int, ...]


class CheckResult(Record):
    """Verdicts on one candidate, in the order in which they were reached."""

    candidate: str
    sha256: str  # of the file that was checked
    verdicts: tuple[Verdict, ...]
    parity: tuple[OutputParity, ...] = ()
    metric: Metric | None = None
    seconds: float

    @property
    def proven(self) -> bool:
        """Whether nothing failed and nothing was left out."""
        return all(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def reason(self) -> str:
        """The first verdict that is not ``passed``; empty when proven."""
        return next((f"{v.name}: {v.reason}" for v in self.verdicts if v.outcome != "passed"), "")


class Attempt(Record):
    """One rung of the ladder: what was tried, and how it ended."""

    label: str
    outcome: Outcome
    reason: str
    candidate: Candidate | None = None
    check: CheckResult | None = None
    chosen: bool = False


class Latency(Record):
    """Wall-clock time of one call, host to host, in milliseconds."""

    contender: str  # "pytorch eager" or a candidate's label
    provider: str  # "" for PyTorch
    dims: dict[str, int]
    threads: int
    samples: int
    p50_ms: float
    p90_ms: float | None  # None below ten samples
    min_ms: float
    mean_ms: float


class BenchmarkResult(Record):
    """All contenders, timed in turn in one process; what could not run says why in ``skipped``."""

    latencies: tuple[Latency, ...]
    skipped: tuple[Verdict, ...] = ()
    seconds: float

    def speedup(self, label: str) -> float | None:
        """PyTorch's median over ``label``'s, geometric mean over the points; above 1 is faster."""
        ratios = [
            eager.p50_ms / other.p50_ms
            for eager in self.latencies
            for other in self.latencies
            if not eager.provider and other.contender == label and other.dims == eager.dims
        ]
        product = 1.0
        for ratio in ratios:
            product *= ratio
        return product ** (1 / len(ratios)) if ratios else None


class Ladder(Record):
    """Every rung that was tried, and the candidate that stands; None when none was proven."""

    attempts: tuple[Attempt, ...]
    chosen: Candidate | None = None
    benchmark: BenchmarkResult | None = None

    @property
    def check(self) -> CheckResult | None:
        """The verdicts on the chosen candidate."""
        return next((each.check for each in self.attempts if each.chosen), None)
