"""Comparisons whose answer is known, each as a comparison makes them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.fidelity.models import PAIRS, Chain, save
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

LOADER: Final = """
import random, time
spell = random.Random({seed}).expovariate
while True:
    end = time.monotonic() + spell(1)
    while time.monotonic() < end:
        sum(range(10_000))
    time.sleep(spell(1))
"""
"""Loads a core for a second on average, and leaves it for as long."""


def compare(part: str, number: int, folder: Path) -> Row:
    """The first of a pair over the second, at the default budget, in a child as always."""
    first, second = PAIRS[part][number % len(PAIRS[part])]
    work = Work(folder=str(folder), roots=(), allow=(), metadata={})
    models = {
        "first": save(first, folder / "first.onnx"),
        "second": save(second, folder / "second.onnx"),
    }
    start = time.monotonic()
    with alone_on_this_machine(lambda: None), _loaded(number) if part == "aa" else _quiet():
        found = run_in_child(
            compare_models,
            HeadToHeadRequest(workload_of(first), work, models),
            failed=BenchmarkError,
            limits=Limits(),
            log=folder / "log",
        )
    (ratio,) = found.result.ratios
    return Row(
        name=f"{part} {number}",
        part=part,
        first=first.name,
        second=second.name,
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        repetitions=found.repetitions,
        rounds=ratio.rounds,
        seconds=time.monotonic() - start,
        quality_warnings=tuple(sorted({warning.rule for warning in found.result.quality_warnings})),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        cpu_model=found.result.environment.cpu_model if found.result.environment else "",
    )


def workload_of(chain: Chain) -> Workload:
    """Its input, and the default budget."""
    inputs = {"x": InputSpec.model_validate(f"float32[batch, {chain.width}]")}
    dims = {"batch": Dim(min=1, max=64)}
    return Workload(inputs, dims, BenchmarkSpec(at=({"batch": chain.batch},)), seed=0)


@contextlib.contextmanager
def _loaded(seed: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", LOADER.format(seed=seed)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _quiet() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()
