"""What a person writes who has no onnxproof: the same stages by hand, in one process.

Takes one JSON argument: factory, kwargs, weights, inputs, points, samples, at, rounds, threads.
Times both ways, plainly and as the flow does; prints one JSON line with the seconds of each.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxsim
import torch
from safetensors.torch import load_file
from torch import nn

Feed = dict[str, np.ndarray]


def draw(inputs: dict[str, Any], sizes: dict[str, int], rng: np.random.Generator) -> Feed:
    """One sample of every input."""
    feed: Feed = {}
    for name, input_spec in inputs.items():
        shape = [sizes.get(size, size) for size in input_spec["shape"]]
        if input_spec["values"] == "mask":
            lengths = rng.integers(1, shape[1], shape[0], endpoint=True)
            feed[name] = (np.arange(shape[1]) < lengths[:, None]).astype("int64")
        elif input_spec["values"] == "integers":
            feed[name] = rng.integers(input_spec["low"], input_spec["high"], shape)
        else:
            feed[name] = rng.uniform(input_spec["low"], input_spec["high"], shape).astype("float32")
    return feed


def run_torch(model: nn.Module, feed: Feed) -> np.ndarray:
    """The module's answer."""
    with torch.inference_mode():
        return np.asarray(model(**{name: torch.from_numpy(array) for name, array in feed.items()}))


def export(model: nn.Module, job: dict[str, Any], feed: Feed) -> onnx.ModelProto:
    """Export with every dim dynamic, simplify, check."""
    dims = {
        name: torch.export.Dim(name, min=low, max=high) for name, (low, high) in job["dims"].items()
    }
    shapes = {
        name: {axis: dims[size] for axis, size in enumerate(input_spec["shape"]) if size in dims}
        for name, input_spec in job["inputs"].items()
    }
    tensors = {name: torch.from_numpy(array) for name, array in feed.items()}
    program = torch.onnx.export(
        model, (), kwargs=tensors, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    assert program is not None
    simplified, _ = onnxsim.simplify(program.model_proto)
    onnx.checker.check_model(simplified, full_check=True)
    graph: onnx.ModelProto = simplified
    return graph


def session_of(
    path: Path, threads: int, *, profile: str | None = None
) -> onnxruntime.InferenceSession:
    """On the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def time_plainly(model: nn.Module, path: Path, job: dict[str, Any]) -> None:
    """PyTorch and ONNX Runtime in turn, as many rounds as the flow's runners take."""
    session = session_of(path, job["threads"])
    for sizes in job["at"]:
        feed = draw(job["inputs"], sizes, np.random.default_rng(0))
        for _ in range(job["rounds"]):
            run_torch(model, feed)
            session.run(None, feed)


def time_likewise(model: nn.Module, path: Path, job: dict[str, Any]) -> None:
    """What the flow's benchmark measures: anew six times, warm, alone and in turn, then inside."""
    ratios = []
    for repetition in range(6):
        opened, session = copy.deepcopy(model), session_of(path, job["threads"])
        for sizes in job["at"]:
            feed = draw(job["inputs"], sizes, np.random.default_rng(0))
            calls: list[Callable[[], object]] = [
                lambda m=opened, f=feed: run_torch(m, f),  # type: ignore[misc]
                lambda s=session, f=feed: s.run(None, f),  # type: ignore[misc]
            ]
            rounds = job["rounds"] // 6
            for call in calls:
                timed(call, 3 + rounds * 3 // 10)
            order = list(calls)
            taken: dict[int, list[float]] = {id(call): [] for call in calls}
            for _ in range(rounds):
                random.Random(repetition).shuffle(order)  # noqa: S311
                for call in order:
                    taken[id(call)] += timed(call, 1)
            torch_ms, ours_ms = taken.values()
            ratios += [statistics.median(np.divide(ours_ms, torch_ms))]
    profiled = session_of(path, job["threads"], profile=str(path))
    for _ in range(20):
        profiled.run(None, feed)
    json.loads(Path(profiled.end_profiling()).read_text())
    subprocess.run([sys.executable, __file__, str(path), json.dumps(job)], check=True)


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Seconds of each call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def weigh(path: Path, job: dict[str, Any]) -> None:
    """Peak memory of the model in a process of its own."""
    feed = draw(job["inputs"], job["at"][0], np.random.default_rng(0))
    session_of(path, job["threads"]).run(None, feed)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def log(graph: onnx.ModelProto, feed: Feed, answer: np.ndarray, name: str) -> None:
    """Log and register the model."""
    import mlflow
    from mlflow.models import infer_signature

    mlflow.set_experiment("bare")
    with mlflow.start_run():
        mlflow.onnx.log_model(
            graph,
            name="model",
            signature=infer_signature(feed, answer),
            registered_model_name=f"bare-{name}",
            pip_requirements=["onnx", "onnxruntime"],  # else MLflow loads the model to guess them
        )


def main(job: dict[str, Any]) -> None:
    """Every stage in order."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as `python -m` does
    module, _, name = job["factory"].partition(":")
    model = getattr(importlib.import_module(module), name)(**job["kwargs"])
    model.load_state_dict(load_file(job["weights"]))
    model.eval()
    rng = np.random.default_rng(0)
    graph = export(model, job, draw(job["inputs"], job["points"][1], rng))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        onnx.save(graph, path)
        session = session_of(path, job["threads"])
        for sizes in job["points"]:
            for _ in range(job["samples"]):
                feed = draw(job["inputs"], sizes, rng)
                answer = run_torch(model, feed)
                np.testing.assert_allclose(session.run(None, feed)[0], answer, 1e-4, 1e-4)
        torch.set_num_threads(job["threads"])
        seconds = {}
        for measured in (time_plainly, time_likewise):
            start = time.perf_counter()
            measured(model, path, job)
            seconds[measured.__name__] = time.perf_counter() - start
    log(graph, feed, answer, job["name"])
    print(json.dumps(seconds))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        weigh(Path(sys.argv[1]), json.loads(sys.argv[2]))
    else:
        main(json.loads(sys.argv[1]))
