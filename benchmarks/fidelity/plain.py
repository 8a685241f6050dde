"""Whether a reported median is what a plain loop sees, that shares no code with the benchmark."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import onnx

from benchmarks.fidelity.models import LARGE, SMALL, TINY, Chain, save
from benchmarks.fidelity.rows import Row
from benchmarks.json_lines import versions
from onnxproof.benchmark.head_to_head import HeadToHeadRequest, compare_models
from onnxproof.benchmark.repetitions import Workload
from onnxproof.errors import BenchmarkError
from onnxproof.isolation.child import run_in_child
from onnxproof.isolation.machine_lock import alone_on_this_machine
from onnxproof.records import Work
from onnxproof.spec import BenchmarkSpec, Limits
from onnxproof.spec.dims import Dim
from onnxproof.spec.inputs import InputSpec

LOOP: Final = """
import statistics, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
feed = dict(numpy.load(sys.argv[2]))
medians = []
for _ in range(5):
    session = onnxruntime.InferenceSession(sys.argv[1], options)
    for _ in range(5):
        session.run(None, feed)
    taken, end = [], time.perf_counter() + 0.5
    while time.perf_counter() < end:
        before = time.perf_counter()
        session.run(None, feed)
        taken.append((time.perf_counter() - before) * 1e3)
    medians.append(statistics.median(taken))
print(statistics.median(medians))
"""
"""Five sessions, half a second each: of some models two are 10 % apart in such a loop."""
REPEATS: Final = 9
"""Of benchmark and loop in turn: on a shared machine a loop is 10 % and more off the next one."""


class Model(NamedTuple):
    """Something to time."""

    name: str
    write: Callable[[Path], Path]
    line: str  # of its input
    at: dict[str, int]


def _chain(chain: Chain) -> Model:
    line = f"float32[batch, {chain.width}]"
    return Model(chain.name, lambda path: save(chain, path), line, {"batch": chain.batch})


def _exported(name: str, build: Callable[[], Any], shape: tuple[int, ...]) -> Model:
    def write(path: Path) -> Path:
        import torch

        torch.manual_seed(0)
        axes = {"x": {0: "batch"}}
        example = torch.zeros(2, *shape)
        torch.onnx.export(
            build().eval(), (example,), path, dynamo=False, input_names=["x"], dynamic_axes=axes
        )
        return path

    return Model(name, write, f"float32[batch, {', '.join(map(str, shape))}]", {"batch": 1})


def _digits() -> Any:
    from examples.digits_cnn import build

    return build()


def _resnet() -> Any:
    from benchmarks.latency_models import resnet

    return resnet()


def _lstm() -> Any:
    import torch
    from torch import nn

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 128, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.lstm(x)[0][:, -1]
            return out

    return Last()


MODELS: Final = (
    _chain(TINY),
    _chain(SMALL),
    _chain(LARGE),
    _chain(Chain(10, 512, 8)),
    _chain(Chain(6, 1024, 16)),
    _chain(Chain(8, 2048, 1)),
    _chain(Chain(30, 128, 64)),
    _exported("digits-cnn", _digits, (1, 8, 8)),
    _exported("LSTM over 50 steps", _lstm, (50, 64)),
    _exported("ResNet-50", _resnet, (3, 224, 224)),
)


def agree(number: int, folder: Path) -> Row:
    """The median of a benchmark of two sessions, over that of a plain loop right after.

    Of several such ratios, the median.
    """
    import numpy as np

    model = MODELS[number]
    path = model.write(folder / "model.onnx")
    inputs = {"x": InputSpec.model_validate(model.line)}
    workload = Workload(inputs, {"batch": Dim(min=1, max=64)}, BenchmarkSpec(at=(model.at,)))
    np.savez(folder / "feed.npz", x=workload.feed(workload.points[0])["x"])
    onnx.save(onnx.load(path), folder / "again.onnx")
    work = Work(folder=str(folder), roots=(), allow=(), metadata={})
    request = HeadToHeadRequest(workload, work, {"model": path, "again": folder / "again.onnx"})
    command = [sys.executable, "-c", LOOP, str(path), str(folder / "feed.npz")]
    start, ratios = time.monotonic(), []
    with alone_on_this_machine(lambda: None):
        for _ in range(REPEATS):
            found = run_in_child(
                compare_models, request, failed=BenchmarkError, limits=Limits(), log=folder / "log"
            ).result
            message = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            latency = found.latencies[0]
            ratios.append(latency.p50_ms / float(message))
    print(f"{model.name}: {' '.join(f'{ratio:.3f}' for ratio in sorted(ratios))}", flush=True)
    return Row(
        name=f"median {number}",
        part="median",
        first=model.name,
        second="a plain loop",
        ratio=statistics.median(ratios),
        p50_ms=latency.p50_ms,
        rounds=latency.samples,
        seconds=time.monotonic() - start,
        quality_warnings=tuple(sorted({warning.rule for warning in found.quality_warnings})),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        cpu_model=found.environment.cpu_model if found.environment else "",
    )
