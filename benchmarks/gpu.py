"""What only a GPU can show: parity, placement and latency on CUDA's execution provider.

``python -m benchmarks.gpu > docs/gpu-run.md`` on a machine with an NVIDIA GPU, the GPU build of
ONNX Runtime and a PyTorch with CUDA. Every part stands for itself: one that fails says why and the
next goes on; the exit code is 1 where one failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NoReturn

from benchmarks.stopwatch import ROOT
from onnxproof.benchmark.stage import measure_in_child
from onnxproof.check.providers import check_providers
from onnxproof.export.stage import export_in_child
from onnxproof.pipeline.workspace import scratch_work
from onnxproof.records import Candidate, Loaded, ProviderCheck, Run, Work
from onnxproof.reference.stage import build_reference
from onnxproof.report.latency import latency_rows
from onnxproof.report.markdown import table
from onnxproof.spec import Spec, parse_spec

CUDA: Final = "CUDAExecutionProvider"
DIGITS: Final[dict[str, Any]] = {
    "name": "digits-gpu",
    "source": {"factory": "examples.digits_cnn:build"},
    "inputs": {"image": "float32[batch, 1, 8, 8]"},
    "dims": {"batch": {"max": 64}},
}
PIXELS: Final[dict[str, Any]] = {
    "inputs": {"pixels": "float32[batch, 3, 224, 224]"},
    "dims": {"batch": {"max": 8}},
}
TEXT: Final[dict[str, Any]] = {
    "inputs": {
        "input_ids": "int64[batch, seq] in 0..30521",
        "attention_mask": "int64[batch, seq] mask",
    },
    "dims": {"batch": {"max": 8}, "seq": {"max": 128}},
}
MODELS: Final[dict[str, dict[str, Any]]] = {
    "digits": {**DIGITS, "benchmark": {"at": [{"batch": 1}, {"batch": 64}]}},
    "resnet": {**PIXELS, "benchmark": {"at": [{"batch": 1}, {"batch": 8}]}},
    "bert_base": {
        **TEXT,
        "benchmark": {"at": [{"batch": 1, "seq": 128}, {"batch": 8, "seq": 128}]},
    },
    "vit_base": {**PIXELS, "benchmark": {"at": [{"batch": 1}, {"batch": 8}]}},
}
SETTINGS: Final[dict[str, dict[str, str]]] = {
    "defaults (TF32)": {},
    "float32": {"use_tf32": "0"},
    "CUDA graph": {"enable_cuda_graph": "1"},
}
SECONDS: Final = 3.0


def spec_of(model: str, options: Mapping[str, str], provider: str) -> Spec:
    """The spec of a model with CUDA's provider in it, or another that stands in for it."""
    factory = f"benchmarks.latency_models:{model}"
    entry: dict[str, Any] = {"name": model, "source": {"factory": factory}}
    entry |= MODELS[model]
    benchmark = {
        **entry["benchmark"],
        "seconds": SECONDS,
        "providers": [{"name": provider, "options": dict(options)}],
    }
    return parse_spec({**entry, "benchmark": benchmark, "check": {"samples": 2}})


def on_providers(model: str, provider: str) -> None:
    """Parity, placement and latency of one model, for each of the settings."""
    with scratch_work((), local_code=True, roots=(str(ROOT),)) as work:
        spec = spec_of(model, {}, provider)
        loaded = build_reference(spec, work)
        candidate = export_in_child(Run(spec, work, loaded), "dynamo", "")
        print(f"\n### {model}: {candidate.nodes} nodes, {candidate.size_bytes / 1e6:.0f} MB\n")
        for name, options in SETTINGS.items():
            asked = spec_of(model, options, provider)
            print(f"\n**{name}**\n")
            for found in check_providers(Run(asked, work, loaded), candidate, ()):
                show(found)
            measured = measure_in_child(asked, work, (candidate,))
            rows = latency_rows(measured)
            print("\n" + table(tuple(rows[0]), [tuple(row.values()) for row in rows]))


def show(found: ProviderCheck) -> None:
    """The verdict, the numbers behind it, and what stayed on the CPU."""
    verdict = found.verdict
    print(f"- {verdict.name} ({found.precision}): {verdict.outcome}, {verdict.reason}")
    for row in found.parity:
        print(
            f"- output {row.name!r}: at most {row.max_abs_diff:.3g} off, "
            f"{row.budget_used:.3g} of the tolerance {row.atol:.3g} + {row.rtol:.3g} * |value|"
        )
    if placement := found.placement:
        nodes = ", ".join(f"{count} on {name}" for name, count in placement.nodes.items())
        left = "; ".join(placement.on_cpu[:8]) or "none"
        spent = "" if placement.cpu_time is None else f", {placement.cpu_time:.1%} of kernel time"
        print(f"- nodes: {nodes}{spent}; left on the CPU: {left}")


def whole_chain(provider: str) -> None:
    """From a spec to a version that names the provider, loaded by MLflow and replayed there."""
    import mlflow
    import numpy as np

    from onnxproof import export_model, verify_model
    from onnxproof.errors import PromotionRefused
    from onnxproof.spec import Source

    spec = parse_spec({**DIGITS, "benchmark": {"providers": [{"name": provider}], "seconds": 2}})
    outcome = export_model(spec, allow=("examples",))
    print(f"- export_model: {outcome.status}, {outcome.model_uri} {outcome.reason}")
    assert outcome.model_uri is not None
    model = mlflow.pyfunc.load_model(outcome.model_uri)
    active = model._model_impl.rt.get_providers()
    image = np.zeros((2, 1, 8, 8), np.float32)
    print(f"- mlflow.pyfunc: {active}, gives {[*model.predict({'image': image})]}")
    for line in verify_model(outcome.model_uri, provider=provider).lines:
        print(f"- verify: {line}")
    wider = {"factory": "examples.digits_cnn:build", "kwargs": {"width": 256}}
    try:
        export_model(spec.model_copy(update={"source": Source(**wider)}), allow=("examples",))
    except PromotionRefused as error:
        print(f"- a wider model: {error}")
        for gate in error.outcome.gates:
            print(f"  - {gate.name} {gate.outcome}: {gate.reason}")


def overflow(provider: str) -> None:
    """A norm in float16, which the CPU's provider computes in float32: what each of them says."""
    from benchmarks.faultlist import FAULTS, Victim

    fault = next(
        known_fault for known_fault in FAULTS if known_fault.name == "float16 overflow on a GPU"
    )
    entry = {
        "name": "half",
        "source": {"factory": "benchmarks.faultlist.models:half"},
        "inputs": {"x": {"dtype": "float16", "shape": ["batch", 64], "scale": 200}},
        "dims": {"batch": {"max": 8}},
        "benchmark": {"providers": [{"name": provider}]},
    }
    with scratch_work((), local_code=True, roots=(str(ROOT),)) as work:
        spec = parse_spec(entry)
        loaded = build_reference(spec, work)
        with redirect_stdout(sys.stderr):  # the exporter prints its graph
            candidate = export_in_child(Run(spec, work, loaded), "trace", "")
        show_half(spec, work, loaded, candidate, "right")
        assert fault.inject is not None
        faulty = fault.inject(Victim(spec, work, loaded, candidate))
        show_half(spec, work, loaded, faulty, "faulty")


def show_half(spec: Spec, work: Work, loaded: Loaded, graph: Candidate, name: str) -> None:
    """The last verdicts of the check, and those of the provider."""
    from onnxproof.check.stage import check_in_child

    for verdict in check_in_child(Run(spec, work, loaded), graph).verdicts[5:]:
        print(f"- {name}: {verdict.name} {verdict.outcome}, {verdict.reason[:200]}")
    for found in check_providers(Run(spec, work, loaded), graph, ()):
        show(found)


def absent() -> None:
    """TensorRT where its libraries are not: skipped with the reason, or an error."""
    from onnxproof.errors import OnnxproofError
    from onnxproof.runtime import open_session

    with tempfile.TemporaryDirectory() as folder:
        import onnx
        from onnx import parser

        path = Path(folder, "m.onnx")
        onnx.save(parser.parse_model(AFFINE), path)
        try:
            open_session(path, "TensorrtExecutionProvider")
            print("- TensorrtExecutionProvider starts here")
        except OnnxproofError as error:
            print(f"- {error}")


AFFINE: Final = """
    <ir_version: 8, opset_import: ["" : 18]>
    affine (float[batch, 4] x) => (float[batch, 4] y) <float[4] bias = {1, 2, 3, 4}>
    { y = Add(x, bias) }
"""


def machine() -> None:
    """The GPU, its driver, and the versions of what computes."""
    asked = "name,driver_version,memory.total,clocks.max.sm"
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
    try:
        card = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        card = f"no nvidia-smi ({error})"
    print(f"- {card}; {os.cpu_count()} cores, Python {platform.python_version()}")
    for name in ("onnxruntime-gpu", "onnxruntime", "torch", "onnx", "onnxscript", "mlflow"):
        try:
            print(f"- {name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue


def main() -> None:
    """Every part; ends with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--provider", default=CUDA, help="another one, to rehearse")
    options = parser.parse_args()
    parts: list[tuple[str, Callable[[], None]]] = [("The machine", machine), ("Absent", absent)]
    provider = options.provider
    parts += [(name, partial(on_providers, name, provider)) for name in options.models]
    parts += [("Float16 that overflows", partial(overflow, provider))]
    parts += [("The whole chain", partial(whole_chain, provider))]
    run_parts(parts)


def run_parts(parts: Iterable[tuple[str, Callable[[], None]]]) -> NoReturn:
    """Each under its title; one that fails says why, and the exit code is 1."""
    failed = []
    for title, part in parts:
        print(f"\n## {title}\n", flush=True)
        start = time.monotonic()
        try:
            part()
        except Exception as error:
            failed.append(title)
            print(f"- FAILED: {type(error).__name__}: {str(error)[:600]}")
            traceback.print_exc(file=sys.stderr)
        print(f"\n{time.monotonic() - start:.1f} s", flush=True)
    print(f"\nFailed: {', '.join(failed) or 'nothing'}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
