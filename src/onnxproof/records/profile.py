"""Where the time of a run goes, from ONNX Runtime's own profile."""

from __future__ import annotations

from onnxproof.records.base import Record


class OperatorTime(Record):
    """All kernels of one operator in a run."""

    operator: str  # as ONNX Runtime has rewritten the graph: "FusedMatMul"
    provider: str
    calls: int
    milliseconds: float  # median over runs
    share: float  # of all kernels


class ModuleTime(Record):
    """All kernels of one module of the PyTorch model."""

    module: str  # path; "" is the model itself, "(ONNX Runtime)" what only the runtime put there
    milliseconds: float
    share: float


class Profile(Record):
    """Of one model on one provider, at the first point of the benchmark."""

    runner: str
    provider: str
    runs: int  # profiled, after warm-up
    kernels_ms: float  # of a run, median; on a GPU what it took the host to launch them
    operators: tuple[OperatorTime, ...]  # longest first
    modules: tuple[ModuleTime, ...] = ()  # longest first; empty where nothing noted the modules
    fused: dict[str, int]  # operators of the rewritten graph that the file has not, and how often
    flops: int | None = None  # of products and convolutions in a run; None where it is not known
