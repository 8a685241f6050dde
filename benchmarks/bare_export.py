"""What a person writes who has no onnxproof: the same stages by hand, in one process.

Takes one JSON argument: factory, kwargs, weights, inputs, points, samples, at, rounds, threads.
Prints one JSON line with the seconds of its benchmark.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
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
    for name, each in inputs.items():
        shape = [sizes.get(size, size) for size in each["shape"]]
        if each["values"] == "mask":
            lengths = rng.integers(1, shape[1], shape[0], endpoint=True)
            feed[name] = (np.arange(shape[1]) < lengths[:, None]).astype("int64")
        elif each["values"] == "integers":
            feed[name] = rng.integers(each["low"], each["high"], shape)
        else:
            feed[name] = rng.uniform(each["low"], each["high"], shape).astype("float32")
    return feed


def run_torch(model: nn.Module, feed: Feed) -> np.ndarray:
    """The module's answer."""
    with torch.inference_mode():
        return np.asarray(model(**{name: torch.from_numpy(each) for name, each in feed.items()}))


def export(model: nn.Module, job: dict[str, Any], feed: Feed) -> onnx.ModelProto:
    """Export with every dim dynamic, simplify, check."""
    dims = {
        name: torch.export.Dim(name, min=low, max=high) for name, (low, high) in job["dims"].items()
    }
    shapes = {
        name: {axis: dims[size] for axis, size in enumerate(each["shape"]) if size in dims}
        for name, each in job["inputs"].items()
    }
    tensors = {name: torch.from_numpy(each) for name, each in feed.items()}
    program = torch.onnx.export(
        model, (), kwargs=tensors, dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    assert program is not None
    simplified, _ = onnxsim.simplify(program.model_proto)
    onnx.checker.check_model(simplified, full_check=True)
    graph: onnx.ModelProto = simplified
    return graph


def time_both(model: nn.Module, session: onnxruntime.InferenceSession, job: dict[str, Any]) -> None:
    """PyTorch and ONNX Runtime in turn, as many rounds as the other contender takes."""
    torch.set_num_threads(job["threads"])
    for sizes in job["at"]:
        feed = draw(job["inputs"], sizes, np.random.default_rng(0))
        for _ in range(job["rounds"]):
            run_torch(model, feed)
            session.run(None, feed)


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
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for sizes in job["points"]:
            for _ in range(job["samples"]):
                feed = draw(job["inputs"], sizes, rng)
                answer = run_torch(model, feed)
                np.testing.assert_allclose(session.run(None, feed)[0], answer, 1e-4, 1e-4)
        start = time.perf_counter()
        time_both(model, session, job)
        seconds = time.perf_counter() - start
    log(graph, feed, answer, job["name"])
    print(json.dumps({"benchmark_seconds": seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
