"""How fast: latencies of every contender, and ratios of what was timed in turn."""

from __future__ import annotations

from typing import Literal

from onnxproof.artifact import Artifact
from onnxproof.records.base import Record, Verdict
from onnxproof.records.environment import Environment, Suspicion

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
    p90_ms: float | None  # None below 50 samples
    p99_ms: float | None = None  # None below 500
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
    where: str = ""  # provider and binding, of a ratio that is about one alone


class BenchmarkResult(Record):
    """All contenders, timed in turn in one process; what could not run says why in ``skipped``."""

    latencies: tuple[Latency, ...]
    ratios: tuple[Ratio, ...] = ()  # of every other candidate over the one with the lowest latency
    speedups: tuple[Ratio, ...] = ()  # of PyTorch over the model, for each place; above 1: faster
    skipped: tuple[Verdict, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()
    environment: Environment | None = None
    samples: Artifact | None = None  # every sample, as parquet
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
