"""The folder that MLflow keeps: a model of its ONNX flavor, with the proof beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.proof import replay
from onnxproof.records import Proof, TensorRecord
from onnxproof.spec import CPU

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema

TRAVELS: Final = ("proof.json", "report.md")
"""Beside the files of the chosen candidate."""
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")


def build_model_folder(proof: Proof, work: Path, logged: LoggedModel, folder: Path) -> None:
    """Write into ``folder`` what MLflow keeps of the proof in ``work``, no big file twice.

    ``model.onnx`` and its external data are the proven files themselves, by hard link.
    """
    import mlflow.onnx
    import onnx
    from mlflow.models import Model
    from mlflow.models.model import MLMODEL_FILE_NAME

    description = Model(
        artifact_path=logged.artifact_location,
        model_uuid=logged.model_id,
        run_id=logged.source_run_id,
        model_id=logged.model_id,
    )
    # MLflow would write a graph that it is given anew; the proven bytes take this one's place.
    mlflow.onnx.save_model(
        onnx.ModelProto(),
        str(folder),
        mlflow_model=description,
        signature=signature_of(proof),
        pip_requirements=requirements_of(proof),
        onnx_execution_providers=providers_of(proof),
        metadata={
            "onnxproof.proof_key": proof.proof_key,
            "onnxproof.flow_version": proof.versions.flow,
        },
        save_as_external_data=False,
    )
    (folder / "model.onnx").unlink()
    samples = [proof.benchmark.samples] if proof.benchmark.samples else []
    for name in (*TRAVELS, *(file.path for file in (*proof.chosen.files, *samples))):
        os.link(work / name, folder / name)
    for name in sets_of(proof):
        shutil.copytree(work / name, folder / name, copy_function=os.link)
    shutil.copy(replay.__file__, folder / "replay.py")
    description.model_size_bytes = sum(path.stat().st_size for path in folder.rglob("*.*"))
    description.save(str(folder / MLMODEL_FILE_NAME))


def sets_of(proof: Proof) -> list[str]:
    """Names of the ``test_data_set_N`` of the reference."""
    return [name for point in proof.loaded.reference.points for name in point.sets]


def signature_of(proof: Proof) -> ModelSignature:
    """Inputs and outputs by name, with -1 where the size is dynamic."""
    from mlflow.models import ModelSignature

    reference = proof.loaded.reference
    return ModelSignature(inputs=_schema(reference.inputs), outputs=_schema(reference.outputs))


def requirements_of(proof: Proof) -> list[str]:
    """What a consumer installs: the versions that took part in the proof, and nothing of ours."""
    versions = proof.versions.toolchain
    runtime = next((name for name in RUNTIMES if name in versions), RUNTIMES[0])
    names = ("numpy", "onnx", runtime)
    return [f"{name}=={versions[name]}" for name in names if name in versions]


def providers_of(proof: Proof) -> list[str]:
    """Execution providers that were measured, in the spec's order; the CPU where none was."""
    measured = [latency.provider for latency in proof.benchmark.latencies if latency.provider]
    return list(dict.fromkeys(measured)) or [CPU]


def _schema(tensors: Iterable[TensorRecord]) -> Schema:
    import numpy as np
    from mlflow.types.schema import Schema, TensorSpec

    return Schema(
        [
            TensorSpec(
                np.dtype(tensor.dtype),
                tuple(size if isinstance(size, int) else -1 for size in tensor.shape),
                tensor.name,
            )
            for tensor in tensors
        ]
    )
