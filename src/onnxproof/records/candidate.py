"""One graph, and what was found out about it: verdicts and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from onnxproof.artifact import Artifact
from onnxproof.records.base import Outcome, Record, Verdict
from onnxproof.records.benchmark import BenchmarkResult
from onnxproof.records.divergence import Divergence
from onnxproof.records.parity import OutputParity
from onnxproof.records.provider import ProviderCheck
from onnxproof.records.reference import Metric
from onnxproof.records.weights import WeightMatch
from onnxproof.spec import StrategyName

SimplifierName = Literal["none", "onnxsim", "onnxslim", "rewrite"]


def label_of(strategy: StrategyName, simplifier: SimplifierName = "none", variant: str = "") -> str:
    """``dynamo``, ``dynamo+onnxsim``, or ``trace+onnxsim@eager`` for a source variant."""
    simplified = "" if simplifier == "none" else f"+{simplifier}"
    return f"{strategy}{simplified}{variant and f'@{variant}'}"


class Specialization(Record):
    """Something that an exporter took from its example for a constant."""

    input: str  # whose size it is; "" where it is a value
    what: str  # "only where Eq(x.shape[0], 3)", or what the tracer warned of
    where: str  # "model.py:12"


class Candidate(Record):
    """One graph: a way out of PyTorch, and what a simplifier made of it."""

    strategy: StrategyName
    simplifier: SimplifierName
    variant: str = ""  # of source.variants; empty for the declared source
    model: Artifact
    weights: Artifact | None = None  # the graph's external data; None when it holds its weights
    opset: int
    ir_version: int
    nodes: int
    seconds: float
    specializations: tuple[Specialization, ...] = ()
    workarounds: tuple[
        str, ...
    ] = ()  # of onnxproof.export.workarounds; none where the module did as it is

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
        return sum(file.size_bytes for file in self.files)

    def unchanged(self, folder: str | Path) -> bool:
        """Whether its files below ``folder`` still hold the bytes that were described."""
        return all(file.unchanged(folder) for file in self.files)


class EdgeCheck(Record):
    """What was found on one edge sample."""

    folder: str  # its test_data_set
    inputs: tuple[str, ...]
    values: str  # what they hold: "half steps"
    outcome: Outcome  # skipped: it differs in what follows from the sign of zero alone
    reason: str = ""  # of a failure
    parity: tuple[OutputParity, ...] = ()  # of every output, with this sample's budgets


class CheckResult(Record):
    """Verdicts on one candidate, in the order in which they were reached."""

    candidate: str
    sha256: str  # of the file that was checked
    weights_sha256: str | None = None  # of its external data
    verdicts: tuple[Verdict, ...]
    weight_match: WeightMatch | None = None  # None where the check did not get there
    parity: tuple[OutputParity, ...] = ()
    edges: tuple[EdgeCheck, ...] = ()
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
        return next((f"{verdict.name}: {verdict.reason}" for verdict in self._against), "")

    @property
    def _against(self) -> list[Verdict]:
        elsewhere = [
            provider.verdict for provider in self.providers if provider.verdict.outcome == "failed"
        ]
        return [verdict for verdict in self.verdicts if verdict.outcome != "passed"] + elsewhere


class Attempt(Record):
    """One candidate that the search tried, and how it ended."""

    label: str
    outcome: Outcome
    reason: str
    where: str = ""  # the line of the model's code at fault, "model.py:12"
    hint: str = ""  # what may help
    candidate: Candidate | None = None
    check: CheckResult | None = None
    divergence: Divergence | None = None  # where it goes wrong, if parity failed
    chosen: bool = False


class SearchResult(Record):
    """Every attempt, and the chosen candidate; None when none was proven."""

    attempts: tuple[Attempt, ...]
    chosen: Candidate | None = None
    benchmark: BenchmarkResult | None = None

    @property
    def check(self) -> CheckResult | None:
        """The verdicts on the chosen candidate."""
        return next((attempt.check for attempt in self.attempts if attempt.chosen), None)
