"""Graphs, references and records that tests of the stages start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from torch import nn

from onnxproof.artifact import Artifact
from onnxproof.export.stage import export_in_child
from onnxproof.graph.finalize import save_candidate
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    CheckResult,
    ClassBudget,
    GridPoint,
    Latency,
    Loaded,
    OutputParity,
    Reference,
    Registration,
    Run,
    SimplifierName,
    TensorRecord,
    Verdict,
    Work,
)
from onnxproof.reference.stage import build_reference
from onnxproof.reference.weight_index import StateWriter
from onnxproof.samples.generate import Feed
from onnxproof.spec import Spec, StrategyName

DIGEST = "5" * 64
AFFINE = """
    <ir_version: 8, opset_import: ["" : 18]>
    affine (float[batch, 4] x) => (float[batch, 4] y) <float[4] bias = {1, 2, 3, 4}>
    { y = Add(x, bias) }
"""
"""Most graphs of these tests are this one with a fault in it."""

REGISTRATION = Registration(
    name="toy",
    version="3",
    model_uri="models:/toy/3",
    model_id="m-1",
    run_id="r-1",
    run_url="http://localhost:5000/#/runs/r-1",
    aliases=("challenger", "champion"),
)


def load(spec: Spec, work: Work) -> Loaded:
    """The real stage, in this process."""
    return build_reference(spec, work)


def export(
    spec: Spec, work: Work, loaded: Loaded, strategy: StrategyName, variant: str = ""
) -> Candidate:
    """The real stage, in this process."""
    return export_in_child(Run(spec, work, loaded), strategy, variant)


def save_bert(folder: Path) -> None:
    """A small BERT for three classes, as transformers saves one."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=3,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)


def model_of(text: str) -> onnx.ModelProto:
    """A model in ONNX's text syntax."""
    model: onnx.ModelProto = parser.parse_model(text)
    return model


def save(
    model: str | onnx.ModelProto,
    work: Work,
    strategy: StrategyName = "trace",
    simplifier: SimplifierName = "none",
) -> Candidate:
    """A candidate with this graph, as a strategy would have left it."""
    graph = model_of(model) if isinstance(model, str) else model
    return save_candidate(graph, work, strategy=strategy, simplifier=simplifier, seconds=0)


def save_reference(work: Work, *sets: tuple[Feed, Feed], dims: tuple[str, ...] = ()) -> Loaded:
    """Inputs and outputs as the load stage leaves them; axis 0 of each tensor is ``batch``.

    ``dims`` names the tensors whose first size does not vary. The module has no weights.
    """
    StateWriter(nn.Identity()).write(work)
    for number, (inputs, outputs) in enumerate(sets):
        folder = Path(work.path(f"test_data_set_{number}"))
        folder.mkdir(parents=True)
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for index, (name, array) in enumerate(arrays.items()):
                data = numpy_helper.from_array(array, name).SerializeToString()
                (folder / f"{kind}_{index}.pb").write_bytes(data)

    def describe(arrays: Feed) -> tuple[TensorRecord, ...]:
        return tuple(
            TensorRecord(
                name=name,
                dtype=str(array.dtype),
                shape=array.shape if name in dims else ("batch", *array.shape[1:])[: array.ndim],
            )
            for name, array in arrays.items()
        )

    points = tuple(
        GridPoint(
            dims={"batch": len(next(iter(inputs.values())))},
            outcome="passed",
            sets=(f"test_data_set_{number}",),
        )
        for number, (inputs, _) in enumerate(sets)
    )
    reference = Reference(
        folder=".",
        seed=0,
        inputs=describe(sets[0][0]),
        outputs=describe(sets[0][1]),
        points=points,
        size_bytes=0,
        digest=DIGEST,
    )
    return loaded_with(reference)


def loaded_with(reference: Reference) -> Loaded:
    return Loaded(
        module_class="tests.helpers.models.Linear",
        parameters=15,
        weights_sha256=DIGEST,
        weights_bytes=60,
        call="keyword",
        reference=reference,
        seconds=0.1,
    )


def affine_reference(work: Work) -> Loaded:
    """What ``AFFINE`` gives for batches of 1 and 3."""
    bias = np.arange(1, 5, dtype=np.float32)
    feeds = [np.arange(4 * rows, dtype=np.float32).reshape(rows, 4) for rows in (1, 3)]
    return save_reference(work, *(({"x": x}, {"y": x + bias}) for x in feeds))


def candidate_of(
    strategy: StrategyName = "dynamo",
    simplifier: SimplifierName = "none",
    *,
    size_bytes: int = 100_000,
    nodes: int = 10,
    sha256: str = DIGEST,
    variant: str = "",
) -> Candidate:
    """A record about no file."""
    return Candidate(
        strategy=strategy,
        simplifier=simplifier,
        variant=variant,
        model=Artifact(path=f"{strategy}-{simplifier}.onnx", sha256=sha256, size_bytes=size_bytes),
        opset=20,
        ir_version=10,
        nodes=nodes,
        seconds=0.5,
    )


def parity_of(name: str = "y", **fields: Any) -> OutputParity:
    known: dict[str, Any] = {
        "name": name,
        "dtype": "float32",
        "samples": 4,
        "max_abs_diff": 2e-7,
        "max_rel_diff": 1e-7,
        "mismatched": 0,
        "elements": 120,
        "atol": 1e-4,
        "rtol": 1e-4,
        "worst_set": "test_data_set_1",
        "worst_index": (0, 2),
        "worst_diff": 2e-7,
    }
    return OutputParity.model_validate({**known, **fields})


def class_of(
    low: float, elements: int, rms: float, atol: float, max_rms_diff: float | None = None
) -> ClassBudget:
    """What a magnitude class is held to."""
    return ClassBudget(low=low, elements=elements, rms=rms, atol=atol, max_rms_diff=max_rms_diff)


def verdicts_on(candidate: Candidate, fault: str = "") -> CheckResult:
    """Everything passed, or parity failed for the reason ``fault``."""
    last = Verdict(name="parity", outcome="failed" if fault else "passed", reason=fault or "close")
    return CheckResult(
        candidate=candidate.label,
        sha256=candidate.model.sha256,
        verdicts=(Verdict(name="bytes", outcome="passed", reason="the file is the same"), last),
        parity=(parity_of(mismatched=7 if fault else 0),),
        seconds=0.2,
    )


def latency_of(runner: str, p50_ms: float, **fields: Any) -> Latency:
    known: dict[str, Any] = {
        "runner": runner,
        "provider": "" if runner == "pytorch eager" else "CPUExecutionProvider",
        "dims": {"batch": 3},
        "threads": 1,
        "samples": 20,
        "p50_ms": p50_ms,
        "p90_ms": p50_ms * 1.5,
        "min_ms": p50_ms / 2,
        "mean_ms": p50_ms,
    }
    return Latency.model_validate({**known, **fields})


def benchmark_of(**medians: float) -> BenchmarkResult:
    """PyTorch at 1 ms, and each candidate (``dynamo_onnxsim`` for ``dynamo+onnxsim``)."""
    rows = [latency_of(name.replace("_", "+"), p50_ms) for name, p50_ms in medians.items()]
    return BenchmarkResult(latencies=(latency_of("pytorch eager", 1.0), *rows), seconds=1)


def change_a_byte(path: Path) -> None:
    """One bit of the file's second byte."""
    with path.open("r+b") as file:
        file.seek(1)
        byte = file.read(1)
        file.seek(1)
        file.write(bytes([byte[0] ^ 1]))
