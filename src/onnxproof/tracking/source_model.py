"""PyTorch models of MLflow that a spec starts from: what a moving name means now, and its files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.errors import BadInput, SourceError, one_line
from onnxproof.tracking.client import is_away, reading_first, talking
from onnxproof.tracking.versions import fetch, find_named

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Pinned(NamedTuple):
    """An address that means the same model tomorrow, and what changes when the model does."""

    uri: str
    identity: str


def pin(uri: str) -> Pinned:
    """The version behind an alias, the logged model behind a run's path.

    Args:
        uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``models:/MODEL_ID`` or
            ``runs:/RUN_ID/PATH``.

    Raises:
        SourceError: There is no such model.
        ServerUnreachable: MLflow does not answer.
    """
    if uri.startswith("models:/m-"):
        return Pinned(uri, _digest(uri))
    if uri.startswith("runs:/"):
        return _of_run(uri)

    def find(client: MlflowClient) -> Pinned:
        found = find_named(client, uri)
        # A model that was deleted and made again counts from 1 again; its source does not.
        return Pinned(f"models:/{found.name}/{found.version}", _digest(str(found.source)))

    try:
        return reading_first(f"look for {uri}", find)
    except BadInput as error:
        raise SourceError(f"source.mlflow: {error}") from None


def fetch_source(uri: str, folder: Path) -> None:
    """All files of the model at a pinned address, as ``folder``, which is not there yet.

    Raises:
        SourceError: There is no model at the address.
        ServerUnreachable: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    arriving = folder.with_suffix(".part")  # MLflow makes a folder of a name of its own in it
    with talking(f"fetch {uri}") as client:
        try:
            found = fetch(_download_uri(client, uri), arriving)
        except (MlflowException, OSError) as error:
            if is_away(error):
                raise
            text = one_line(error, 300)
            raise SourceError(f"source.mlflow: {uri} cannot be fetched: {text}") from None
    if not (found / "MLmodel").is_file():
        raise SourceError(f"source.mlflow: {uri} holds no MLmodel, so it is no model of MLflow's")
    found.rename(folder)
    shutil.rmtree(arriving, ignore_errors=True)


def _of_run(uri: str) -> Pinned:
    run_id, _, path = uri.removeprefix("runs:/").partition("/")
    with talking(f"look for {uri}") as client:
        run = client.get_run(run_id)
        outputs = run.outputs.model_outputs if run.outputs else []
        models = [client.get_logged_model(output.model_id) for output in outputs]
    if found := [model for model in models if model.name == path]:
        pinned = f"models:/{found[-1].model_id}"
        return Pinned(pinned, _digest(pinned))
    names = ", ".join(sorted({model.name for model in models})) or "none"
    raise SourceError(
        f"source.mlflow: run {run_id} has no logged model {path!r}; it has {names} "
        "(MLflow 2 kept models among a run's files: log it again, or register it)"
    )


def _download_uri(client: MlflowClient, uri: str) -> str:
    """Where the store has the files; MLflow resolves ``models:/`` by its global settings."""
    if uri.startswith("models:/m-"):
        return str(client.get_logged_model(uri.removeprefix("models:/")).artifact_location)
    name, _, version = uri.removeprefix("models:/").rpartition("/")
    return str(client.get_model_version_download_uri(name, version))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
