"""A proven version beside the champion: what the gates of a promotion say."""

from __future__ import annotations

from typing import Literal

from onnxproof.records.base import Difference, Outcome, Record
from onnxproof.records.benchmark import BenchmarkResult, Latency, Ratio
from onnxproof.records.provider import ProviderCheck

GateOutcome = Literal["passed", "failed", "inconclusive", "not_applicable"]


class GateVerdict(Record):
    """One gate of the spec: its number beside its threshold, or why there is none."""

    name: str  # as in the spec: "max_latency_regression"
    outcome: GateOutcome
    value: Difference | None = None
    threshold: float | None = None
    reason: str


class VersionMeasurement(Record):
    """A registered version on providers of one machine, in turn with the champion of that hour."""

    model_uri: str
    champion: str = ""  # version; empty where there is no other
    checks: tuple[ProviderCheck, ...]  # parity on each provider, held to its own tolerance
    benchmark: BenchmarkResult  # runners "version 2", "version 1"
    gates: tuple[GateVerdict, ...] = ()  # those that look at what was found there
    repetitions: int = 0
    seconds: float = 0.0


class MeasuredElsewhere(Record):
    """What became of one entry of ``benchmark.elsewhere``."""

    deployment: str
    outcome: Outcome  # "skipped" where nothing was measured
    reason: str = ""
    measurement: VersionMeasurement | None = None


class Comparison(Record):
    """Challenger and champion, both from the registry, timed in turn in the same rounds."""

    challenger: str  # version
    champion: str = ""  # version; empty where there is no other
    gates: tuple[GateVerdict, ...]
    latencies: tuple[Latency, ...] = ()  # runners "version 2", "version 1"
    ratios: tuple[Ratio, ...] = ()  # of the challenger over the champion, one a provider
    repetitions: int = 0  # each opens everything anew
    elsewhere: tuple[MeasuredElsewhere, ...] = ()  # by other machines, before this
    seconds: float = 0.0
    inconclusive: Literal["refuse", "pass"] = "refuse"

    @property
    def against(self) -> tuple[GateVerdict, ...]:
        """The gates that keep the version from becoming champion."""
        stops = {"failed"} | ({"inconclusive"} if self.inconclusive == "refuse" else set())
        return tuple(gate for gate in self.gates if gate.outcome in stops)

    @property
    def reason(self) -> str:
        """What they say; empty where the version may become champion."""
        return "; ".join(f"{gate.name} {gate.outcome}: {gate.reason}" for gate in self.against)
