"""What an MLflow run shows of a proof: params and metrics; pure functions of the record.

Names hold no candidate's label, so that MLflow can compare versions that came out by other ways.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from onnxproof.records import Latency, Proof, VersionMeasurement


def run_params(proof: Proof) -> dict[str, str]:
    """Facts that do not change any more, as text."""
    chosen, loaded = proof.chosen, proof.loaded
    return {
        f"source.{proof.spec.source.kind}": proof.spec.source.target,
        "module_class": loaded.module_class,
        "parameters": str(loaded.parameters),
        "weights_sha256": loaded.weights_sha256,
        "candidate": chosen.label,
        "opset": str(chosen.opset),
        "ir_version": str(chosen.ir_version),
        **{f"dims.{name}": f"{dim.min}..{dim.max}" for name, dim in proof.spec.dims.items()},
        "check.samples": str(proof.spec.check.samples),
        "check.seed": str(proof.spec.check.seed),
        "benchmark.threads": str(proof.spec.benchmark.threads),
        "python": proof.versions.python,
        **proof.versions.toolchain,
    }


def run_metrics(proof: Proof) -> dict[str, float]:
    """Measured numbers by a name that MLflow takes; finite ones only.

    MLflow 3.17 reads a NaN metric of a logged model back as 0.0: a failure would look best of all.
    """
    return _taken(_measured(proof))


def measurement_metrics(measurement: VersionMeasurement) -> dict[str, float]:
    """What another machine measured of the version, by names like those of its own run."""
    return _taken(_measured_elsewhere(measurement))


def _taken(measured: Iterator[tuple[str, float]]) -> dict[str, float]:
    return {
        re.sub(r"[^\w\-. :/]", "-", name): value for name, value in measured if math.isfinite(value)
    }


def _measured(proof: Proof) -> Iterator[tuple[str, float]]:
    yield "model_size_bytes", proof.chosen.size_bytes
    yield "nodes", proof.chosen.nodes
    for row in proof.check.parity:
        yield f"max_abs_diff/{row.name}", row.max_abs_diff
        yield f"max_rel_diff/{row.name}", row.max_rel_diff
    if (metric := proof.check.metric) is not None and metric.onnx is not None:
        yield f"{metric.name}/pytorch", metric.pytorch
        yield f"{metric.name}/onnx", metric.onnx
    yield "seconds/load", proof.loaded.seconds
    yield "seconds/export", proof.chosen.seconds
    yield "seconds/check", proof.check.seconds
    yield "seconds/benchmark", proof.benchmark.seconds
    yield from _latencies(proof)


def _measured_elsewhere(measurement: VersionMeasurement) -> Iterator[tuple[str, float]]:
    for check in measurement.checks:
        for output in check.parity:
            yield f"max_abs_diff/{check.provider}/{output.name}", output.max_abs_diff
    version = f"version {measurement.model_uri.rpartition('/')[2]}"
    for latency in measurement.benchmark.latencies:
        if latency.runner == version:
            yield f"p50_ms/{latency.provider}{_suffix(latency)}", latency.p50_ms
    for ratio in measurement.benchmark.ratios:
        yield f"ratio_to_champion/{ratio.where}", ratio.ratio


def _latencies(proof: Proof) -> Iterator[tuple[str, float]]:
    for latency in proof.benchmark.latencies:
        suffix = _suffix(latency)
        if not latency.provider:
            on = "" if latency.device == "cpu" else f"/{latency.device}"
            yield f"p50_ms/PyTorch{on}{suffix}", latency.p50_ms
        elif latency.runner == proof.chosen.label:
            yield f"p50_ms/{latency.provider}{suffix}", latency.p50_ms
            if eager := proof.benchmark.pytorch_beside(latency):
                yield f"speedup/{latency.provider}{suffix}", eager.p50_ms / latency.p50_ms


def _suffix(latency: Latency) -> str:
    """``/device/batch:1 seq:24``; MLflow takes no ``=`` in a name."""
    sizes = " ".join(f"{name}:{size}" for name, size in latency.dims.items())
    bound = "/device" if latency.binding == "device" else ""
    return f"{bound}/{sizes}" if sizes else bound
