"""The machine that a benchmark ran on, as far as it decides how fast a call is."""

from __future__ import annotations

from typing import Literal

from onnxproof.records.base import Record


class Environment(Record):
    """Taken when a benchmark began; what could not be read is empty or None."""

    cpu_model: str
    cores: int  # that the process may run on
    cpus: tuple[int, ...] = ()  # which ones
    cgroup_cpus: float | None = None  # what its control group may use; None without a limit
    cgroup_memory_bytes: int | None = None
    governor: str = ""
    load_1m: float
    pytorch_threads: int  # intra-op, of the benchmark
    onnxruntime_threads: int
    denormals: Literal["kept", "flushed"] = "kept"  # by PyTorch and ONNX Runtime alike
    allocator: str = ""  # the C library, or what is loaded in its place; ONNX Runtime has an arena
    libraries: dict[str, str]  # builds of PyTorch and ONNX Runtime
    gpus: tuple[str, ...] = ()  # name, driver and clocks, as nvidia-smi tells them


class QualityWarning(Record):
    """A sign that a measurement is not of what it seems to be."""

    rule: str  # "machine busy", "timer too coarse", "two speeds", ... (docs/promotion.md)
    runner: str
    where: str  # provider and point
    reason: str
