"""One graph, and what was found out about it: verdicts, numbers, its place on the ladder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from onnxproof.artifact import Artifact
from onnxproof.records.base import Outcome, Record, Verdict
from onnxproof.records.divergence import Divergence
from onnxproof.records.ledger import Ledger
from onnxproof.records.parity import OutputParity
from onnxproof.records.provider import ProviderCheck
from onnxproof.records.reference import Metric
from onnxproof.spec import Strategy

Simplifier = Literal["none", "onnxsim", "onnxslim", "rewrite"]


def label_of(strategy: Strategy, simplifier: Simplifier = "none", variant: str = "") -> str:
    """``dynamo``, ``dynamo+onnxsim``, or ``trace+onnxsim@eager`` for a source variant."""
    simplified = "" if simplifier == "none" else f"+{simplifier}"
    return f"{strategy}{simplified}{variant and f'@{variant}'}"


class Baked(Record):
    """Something that an exporter took from its example for a constant."""

    input: str  # whose size it is; "" where it is a value
    what: str  # "only where Eq(x.shape[0], 3)", or what the tracer warned of
    where: str  # "model.py:12"


class Candidate(Record):
    """One graph: a way out of PyTorch, and what a simplifier made of it."""

    strategy: Strategy
    simplifier: Simplifier
    variant: str = ""  # of source.variants; empty for the declared source
    model: Artifact
    weights: Artifact | None = None  # the graph's external data; None when it holds its weights
    opset: int
    ir_version: int
    nodes: int
    seconds: float
    baked: tuple[Baked, ...] = ()
    remedies: tuple[str, ...] = ()  # of onnxproof.remedies; none where the module did as it is

    @property
    def label(self) -> str:
        """As in attempts, folders and the report."""
        return label_of(self.strategy, self.simplifier, self.variant)

    @property
    def files(self) -> tuple[Artifact, ...]:
        """The graph, and its weights where they are outside."""
        return (self.model, self.weights) if self.weights else (self.model,)

    @property
    def size_bytes(self) -> int:
        """Of the graph and its weights."""
        return sum(each.size_bytes for each in self.files)

    def unchanged(self, folder: str | Path) -> bool:
        """Whether its files below ``folder`` still hold the bytes that were described."""
        return all(each.unchanged(folder) for each in self.files)


class CheckResult(Record):
    """Verdicts on one candidate, in the order in which they were reached."""

    candidate: str
    sha256: str  # of the file that was checked
    weights_sha256: str | None = None  # of its external data
    verdicts: tuple[Verdict, ...]
    ledger: Ledger | None = None  # None where the check did not get there
    parity: tuple[OutputParity, ...] = ()
    metric: Metric | None = None
    kernels: dict[str, int] = Field(default_factory=dict)  # by operator, as ONNX Runtime ran them
    providers: tuple[ProviderCheck, ...] = ()  # of benchmark.providers, besides the CPU's
    seconds: float

    @property
    def proven(self) -> bool:
        """Whether nothing failed and nothing was left out but a provider that is not required."""
        return not self._against

    @property
    def reason(self) -> str:
        """The first verdict that is not ``passed``; empty when proven."""
        return next((f"{each.name}: {each.reason}" for each in self._against), "")

    @property
    def _against(self) -> list[Verdict]:
        elsewhere = [each.verdict for each in self.providers if each.verdict.outcome == "failed"]
        return [each for each in self.verdicts if each.outcome != "passed"] + elsewhere


class Attempt(Record):
    """One rung of the ladder: what was tried, and how it ended."""

    label: str
    outcome: Outcome
    reason: str
    where: str = ""  # the line of the model's code at fault, "model.py:12"
    hint: str = ""  # what may help
    candidate: Candidate | None = None
    check: CheckResult | None = None
    divergence: Divergence | None = None  # where it goes wrong, if parity failed
    chosen: bool = False


Binding = Literal["host", "device"]
"""Where inputs and outputs of a call are; with ``device`` nothing is copied."""


class Latency(Record):
    """Wall-clock time of one call, until its device has ended, in milliseconds."""

    contender: str  # "pytorch eager" or a candidate's label
    provider: str  # "" for PyTorch
    binding: Binding = "host"
    device: str = "cpu"  # "cuda" where the outputs are computed there
    dims: dict[str, int]
    threads: int
    samples: int
    p50_ms: float
    p90_ms: float | None  # None below ten samples
    min_ms: float
    mean_ms: float

    @property
    def where(self) -> str:
        """``CUDAExecutionProvider, nothing copied``; PyTorch, on which device."""
        name = self.provider or ("PyTorch" if self.device == "cpu" else f"PyTorch on {self.device}")
        return f"{name}, nothing copied" if self.binding == "device" else name


class Ratio(Record):
    """Latency of one candidate over another's, from rounds that both took part in."""

    contender: str
    over: str
    ratio: float  # median of the rounds' ratios, geometric mean over points; above 1 is slower
    low: float
    high: float  # ends of the confidence interval
    rounds: int


class BenchmarkResult(Record):
    """All contenders, timed in turn in one process; what could not run says why in ``skipped``."""

    latencies: tuple[Latency, ...]
    ratios: tuple[Ratio, ...] = ()  # of every other candidate over the one with the lowest latency
    skipped: tuple[Verdict, ...] = ()
    seconds: float

    def pytorch_beside(self, latency: Latency) -> Latency | None:
        """PyTorch's own at the same sizes, on the same device, bound in the same way."""
        if not latency.provider:
            return None
        place = (latency.dims, latency.device, latency.binding)
        for each in self.latencies:
            if not each.provider and (each.dims, each.device, each.binding) == place:
                return each
        return None

    def speedup(self, label: str) -> float | None:
        """PyTorch's median over ``label``'s, geometric mean over the points; above 1 is faster.

        Each is compared with PyTorch on its own device.
        """
        ratios = [
            eager.p50_ms / each.p50_ms
            for each in self.latencies
            if each.contender == label and (eager := self.pytorch_beside(each)) is not None
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
