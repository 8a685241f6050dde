"""Latencies of every runner, and ratios of those that were timed in turn."""

from __future__ import annotations

from typing import Literal

from onnxproof.artifact import Artifact
from onnxproof.records.base import Record, Verdict
from onnxproof.records.environment import Environment, QualityWarning
from onnxproof.records.profile import Profile

Binding = Literal["host", "device"]
"""Where inputs and outputs of a call are; with ``device`` nothing is copied."""


def where_text(provider: str, device: str, binding: Binding) -> str:
    """``CUDAExecutionProvider, nothing copied``; of PyTorch, on which device."""
    name = provider or ("PyTorch" if device == "cpu" else f"PyTorch on {device}")
    return f"{name}, nothing copied" if binding == "device" else name


class Latency(Record):
    """Wall-clock time of one call, until its device has ended, in milliseconds."""

    runner: str  # "pytorch eager", "torch.compile" or a candidate's label
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
        """Provider and binding, for people."""
        return where_text(self.provider, self.device, self.binding)


class Ratio(Record):
    """Latency of one candidate over another's, from rounds that both took part in."""

    runner: str
    over: str
    # Median over the rounds of a repetition; geometric mean over points and repetitions.
    ratio: float
    low: float
    high: float  # ends of the 99 % interval, Student's over repetitions; above 1 is slower
    rounds: int
    repetitions: int = 0  # in each of which everything is opened anew
    where: str = ""  # provider and binding, of a ratio that is about one alone


class Startup(Record):
    """What a runner takes before its first answer; milliseconds are medians over repetitions.

    PyTorch is loaded once, and its first runs are of the first repetition.
    """

    runner: str
    where: str  # provider and binding
    size_bytes: int | None = None  # graph and weights; None for PyTorch
    open_ms: float | None = None  # creation of the session; None for PyTorch
    first_run_ms: float
    new_shape_ms: float | None = None  # first run at another shape, when warm; None without one
    peak_bytes: int | None = None  # resident memory of opening and running it, at its peak
    device_bytes: int | None = None  # what the device has less then; None for the CPU


class Throughput(Record):
    """Calls that ended in a while, by one caller or by several of one session at once."""

    runner: str
    where: str  # provider and binding
    dims: dict[str, int]
    callers: int  # threads
    calls: int
    calls_per_second: float
    items_per_second: float  # calls times the size of the dim that the spec names
    p50_ms: float  # of one call, while all callers call
    p99_ms: float | None = None  # None below 500 calls


class BenchmarkResult(Record):
    """All runners, timed in turn in one process; what could not run says why in ``skipped``."""

    latencies: tuple[Latency, ...]
    ratios: tuple[Ratio, ...] = ()  # of every other candidate over the one with the lowest latency
    speedups: tuple[Ratio, ...] = ()  # of PyTorch over the model, for each place; above 1: faster
    startups: tuple[Startup, ...] = ()
    throughput: tuple[Throughput, ...] = ()
    profiles: tuple[Profile, ...] = ()
    skipped: tuple[Verdict, ...] = ()
    quality_warnings: tuple[QualityWarning, ...] = ()
    environment: Environment | None = None
    samples: Artifact | None = None  # every sample, as parquet
    seconds: float

    def pytorch_beside(self, latency: Latency) -> Latency | None:
        """PyTorch's own at the same sizes, on the same device, bound in the same way."""
        if not latency.provider:
            return None
        where_text = (latency.dims, latency.device, latency.binding)
        for other in self.latencies:
            if not other.provider and (other.dims, other.device, other.binding) == where_text:
                return other
        return None

    def peak_bytes(self, label: str) -> int | None:
        """The most that ``label`` took of resident memory, on any provider."""
        found = [startup.peak_bytes for startup in self.startups if startup.runner == label]
        return max((peak for peak in found if peak is not None), default=None)

    def speedup(self, label: str) -> float | None:
        """PyTorch's median over ``label``'s, geometric mean over the points; above 1 is faster.

        Each is compared with PyTorch on its own device.
        """
        ratios = [
            eager.p50_ms / latency.p50_ms
            for latency in self.latencies
            if latency.runner == label and (eager := self.pytorch_beside(latency)) is not None
        ]
        product = 1.0
        for ratio in ratios:
            product *= ratio
        return product ** (1 / len(ratios)) if ratios else None
