"""Make a model version, once the registry's own copy has been fetched and replayed."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.errors import RegisterError
from onnxproof.progress import say
from onnxproof.proof.verify import replay_folder
from onnxproof.records import Proof, Registration
from onnxproof.report.proof import closeness
from onnxproof.settings import is_http, read_settings, shown_url
from onnxproof.tracking.aliases import give_alias
from onnxproof.tracking.client import KEY_TAG, talking
from onnxproof.tracking.model_folder import build_model_folder
from onnxproof.tracking.run_metrics import run_metrics, run_params
from onnxproof.tracking.unfinished_runs import EXPERIMENT, end_run, kept_open, settle, start_tags
from onnxproof.tracking.versions import fetch, read_registration
from onnxproof.usercode.libraries import noted_libraries

if TYPE_CHECKING:
    from mlflow import MlflowClient


def register(proof: Proof, folder: Path) -> Registration:
    """The new version of a proven model, with the alias ``challenger``.

    Args:
        proof: As it stands in ``folder``'s ``proof.json``.
        folder: Holds ``model.onnx`` and its external data, ``proof.json``, ``report.md`` and the
            reference.

    Raises:
        RegisterError: What came back from the registry is not what was sent.
        ProofRefused: What came back says something else than PyTorch.
        ServerUnreachable: MLflow does not answer; no alias has moved.
    """
    say("register", f"register in MLflow at {shown_url(read_settings().tracking_uri)}")
    with talking(f"register {proof.name} (its proof stays in {folder})") as client:
        run_id = _start_run(client, proof)
        try:
            with kept_open(run_id):
                model_id = _log_model(client, run_id, proof, folder)
                _fetch_and_replay(client, model_id, proof, folder)
                version = _create_version(client, run_id, model_id, proof)
        except BaseException:
            _give_up(client, run_id)
            raise
        give_alias(client, proof.name, "challenger", version, only_newer=True)
        end_run(client, run_id, "registered")
        return read_registration(client, proof.name, version)


def _start_run(client: MlflowClient, proof: Proof) -> str:
    from mlflow.entities import Param

    run = client.create_run(
        _experiment(client),
        run_name=f"{proof.name} {proof.created_at[:16]}",
        tags={
            **start_tags(proof.name),
            KEY_TAG: proof.proof_key,
            "onnxproof.flow_version": proof.versions.flow,
            "mlflow.note.content": ", ".join(closeness(proof)),
        },
    )
    params = [Param(name, value) for name, value in run_params(proof).items()]
    client.log_batch(run.info.run_id, params=params)
    return str(run.info.run_id)


def _experiment(client: MlflowClient) -> str:
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(EXPERIMENT)) is not None:
        return str(found.experiment_id)
    settings = read_settings()
    # A server knows where its artifacts go; without one they stay beside the database.
    location = None if is_http(settings.tracking_uri) else settings.artifact_root.as_uri()
    try:
        return str(client.create_experiment(EXPERIMENT, artifact_location=location))
    except MlflowException as error:
        found = client.get_experiment_by_name(EXPERIMENT)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
            raise
        return str(found.experiment_id)  # another run was faster


def _log_model(client: MlflowClient, run_id: str, proof: Proof, work: Path) -> str:
    """Upload the model with its proof, and its metrics; nothing points to it yet."""
    from mlflow.entities import LoggedModelOutput, Metric

    logged = client.create_logged_model(
        client.get_run(run_id).info.experiment_id,
        name=proof.name,
        source_run_id=run_id,
        tags={KEY_TAG: proof.proof_key},
        params=run_params(proof),
        model_type="onnx",
    )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    folder = work / "mlflow-model"
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that a server's absence cut short
    try:
        build_model_folder(proof, work, logged, folder)
        client.log_model_artifacts(logged.model_id, str(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value, now, 0, model_id=logged.model_id)
        for name, value in run_metrics(proof).items()
    ]
    client.log_batch(run_id, metrics=metrics)
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def _fetch_and_replay(client: MlflowClient, model_id: str, proof: Proof, work: Path) -> None:
    folder = work / "fetched"
    try:
        fetched = fetch(client.get_logged_model(model_id).artifact_location, folder)
        for file in proof.chosen.files:
            if not file.unchanged(fetched):
                raise RegisterError(
                    f"the {file.path} that MLflow gives back for models:/{model_id} is not the "
                    "proven file; check the artifact store, then run the same again"
                )
        log = work / "logs" / "replay.log"
        libraries = noted_libraries(work)
        replay_folder(fetched, libraries=libraries, limits=proof.spec.limits, log=log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _create_version(client: MlflowClient, run_id: str, model_id: str, proof: Proof) -> str:
    """Version and tags in one call, so that no version is ever without its key."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(proof.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        proof.name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        description=", ".join(closeness(proof)),
        tags={
            KEY_TAG: proof.proof_key,
            "onnxproof.flow_version": proof.versions.flow,
            "onnxproof.sha256": proof.check.sha256,
            "onnxproof.candidate": proof.chosen.label,
            "onnxproof.opset": str(proof.chosen.opset),
            **({"onnxproof.needs": ", ".join(needs)} if (needs := proof.spec.export.needs) else {}),
        },
    )
    return str(version.version)


def _give_up(client: MlflowClient, run_id: str) -> None:
    """Leave nothing half made, as far as MLflow still answers."""
    with contextlib.suppress(Exception):
        settle(client, client.get_run(run_id), "failed")
