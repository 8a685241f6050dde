"""What the benchmark tells of a GPU, besides latency, and a worker that measures there.

``python -m benchmarks.gpu_benchmark > docs/gpu-benchmark.md`` where ``benchmarks.gpu`` runs.
Every part stands for itself; the exit code is 1 where one failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.gpu import CUDA, MODELS, machine, run_parts
from benchmarks.stopwatch import ROOT, onnxproof
from onnxproof.benchmark.stage import measure
from onnxproof.export.stage import export_onnx
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.load import load_source
from onnxproof.pipeline.workspace import scratch_work
from onnxproof.records import Run
from onnxproof.report.latency import bench_sections
from onnxproof.spec import parse_spec
from tasks.device_slots import slot_names

DIGITS: Final[dict[str, Any]] = {
    "name": "digits-there",
    "source": {"factory": "examples.digits_cnn:build"},
    "inputs": {"image": "float32[batch, 1, 8, 8]"},
    "dims": {"batch": {"max": 64}},
    "benchmark": {"seconds": 2},
}
SERVERS: Final = [sys.executable, "-m", "onnxproof.servers"]


def beyond_latency(model: str, provider: str) -> None:
    """Starts, memory of the device, throughput, ``torch.compile`` and where time goes."""
    entry: dict[str, Any] = {
        "name": model,
        "source": {"factory": f"benchmarks.latency_models:{model}"},
        "check": {"samples": 1},
        "limits": {"memory_gb": 64},  # a compiler has a process for every core
        **MODELS[model],
    }
    entry["benchmark"] = {
        "at": MODELS[model]["benchmark"]["at"][-1:],
        "seconds": 4,
        "providers": [{"name": provider}],
        "torch_compile": True,
        "throughput": {"sizes": [1, 8], "callers": [1, 2, 4]},
    }
    with scratch_work((), local_code=True, roots=(str(ROOT),)) as work:
        spec = parse_spec(entry)
        run = Run(spec, work, load_source(spec, work))
        found = measure(run, (export_onnx(run, "dynamo"),))
    print(f"Slots of a fleet: {', '.join(slot_names(spec.benchmark.providers))}\n")
    for heading, text in bench_sections(found):
        print(f"### {heading}\n\n{text}\n")
    print("```json")
    assert found.environment is not None
    print(found.environment.model_dump_json(indent=2, exclude_none=True))
    print("```")


def by_a_worker(provider: str) -> None:
    """A run on the CPU that has a worker of the pool ``onnxproof-gpu`` measure, twice."""
    there = {"deployment": "measure-version/gpu", "providers": [{"name": provider}], "seconds": 180}
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as environment:
        for width in (32, 256):
            source = {**DIGITS["source"], "kwargs": {"width": width}}
            benchmark = {**DIGITS["benchmark"], "elsewhere": [there]}
            gates = {"max_size_growth": 100, "max_latency_regression": 0.05, "longest_seconds": 10}
            spec = {**DIGITS, "source": source, "benchmark": benchmark, "gates": gates}
            path, outcome = Path(folder, "spec.yaml"), Path(folder, "outcome.json")
            path.write_text(yaml.safe_dump(spec), encoding="utf-8")
            start = time.monotonic()
            command = onnxproof("export", str(path), "--json", str(outcome))
            subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
            ended = json.loads(outcome.read_text())
            seconds = time.monotonic() - start
            print(f"- width {width}: {ended['status']} in {seconds:.0f} s, {ended['reason']}")
            for gate in ended["gates"]:
                print(f"  - {gate['name']} {gate['outcome']}: {gate['reason']}")
        print(f"\n```\n{on_command_line(provider, environment)}\n```")


def on_command_line(provider: str, environment: dict[str, str]) -> str:
    """What ``onnxproof bench`` prints of the second version against the first."""
    uris = [f"models:/{DIGITS['name']}/{version}" for version in (2, 1)]
    command = onnxproof("bench", uris[0], "--against", uris[1], "--provider", provider)
    command += ["--seconds", "2"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    shown = f"$ onnxproof bench {uris[0]} --against {uris[1]} --provider {provider} --seconds 2\n"
    return shown + answer.stdout + (answer.stderr if answer.returncode else "")


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, str]]:
    """Both servers, our deployments and a worker of the GPU's pool; the environment of a run."""
    environment = {**os.environ, "ONNXPROOF_HOME": str(folder / "home")}
    for name in ("up", "deploy"):
        subprocess.run([*SERVERS, name], env=environment, stdout=sys.stderr, check=True)
    there = {**environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    worker = subprocess.Popen(
        [*SERVERS, "worker", "--pool", "onnxproof-gpu"], env=there, stdout=sys.stderr
    )
    try:
        yield environment
    finally:
        worker.terminate()
        worker.wait(timeout=60)
        subprocess.run([*SERVERS, "down"], env=environment, stdout=sys.stderr, check=False)


def main() -> None:
    """Every part; ends with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=["digits", "bert_base"])
    parser.add_argument("--provider", default=CUDA, help="another one, to rehearse")
    options = parser.parse_args()
    prepare_children()
    parts: list[tuple[str, Callable[[], None]]] = [("The machine", machine)]
    parts += [("A worker there", partial(by_a_worker, options.provider))]
    parts += [(model, partial(beyond_latency, model, options.provider)) for model in options.models]
    run_parts(parts)


if __name__ == "__main__":
    main()
