"""Model versions that are there: find one by its proof key, promote it, fetch what it carries."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.errors import BadInput
from onnxproof.proof.manifest import read_proof
from onnxproof.records import Proof, Registration
from onnxproof.settings import is_http, read_settings, shown_url
from onnxproof.tracking.client import KEY_TAG, is_away, reading_first, talking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

VIEW: Final = "?workflowType=machine_learning"
"""MLflow 3.17 opens a run in its view of GenAI otherwise, which shows none of our numbers."""
_MODEL_URI: Final = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
_MISSING: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's answers for a missing model or version, and for a missing alias (mlflow 3.17)."""


def find_version(name: str, key: str) -> Registration | None:
    """The newest version of ``name`` with this proof key; None when there is none.

    Raises:
        ServerUnreachable: MLflow does not answer.
    """

    def find(client: MlflowClient) -> Registration | None:
        found = client.search_model_versions(
            f"name = '{name}' and tags.`{KEY_TAG}` = '{key}'",
            order_by=["version_number DESC"],
            max_results=1,
        )
        return read_registration(client, name, found[0].version) if found else None

    return reading_first(f"look for a version of {name}", find)


def describe(model_uri: str) -> tuple[Proof, Registration]:
    """The proof that a version carries, and where the version is registered.

    Raises:
        BadInput: There is no such version, or it carries no proof.
        ServerUnreachable: MLflow does not answer.
    """
    with talking(f"read {model_uri}") as client, tempfile.TemporaryDirectory() as scratch:
        found = find_named(client, model_uri)
        registration = read_registration(client, found.name, str(found.version))
        uri = client.get_model_version_download_uri(found.name, found.version)
        path = _fetch_proof(uri, model_uri, Path(scratch))
        return read_proof(path, f"the proof of {model_uri}"), registration


def download(model_uri: str, folder: Path) -> Path:
    """All files of a version, in ``folder``.

    Raises:
        BadInput: There is no such version, or it carries no proof.
        ServerUnreachable: MLflow does not answer.
    """
    with talking(f"fetch {model_uri}") as client:
        found = find_named(client, model_uri)
        uri = client.get_model_version_download_uri(found.name, found.version)
        _fetch_proof(uri, model_uri, folder)
        return fetch(uri, folder)


def fetch(artifact_uri: str, folder: Path) -> Path:
    """Files of MLflow at ``artifact_uri``, copied below ``folder``.

    Args:
        artifact_uri: Where the store has them; not ``models:/``, for which MLflow asks the server
            of its global settings.
        folder: Made if need be.
    """
    from mlflow.artifacts import download_artifacts

    folder.mkdir(parents=True, exist_ok=True)
    uri = read_settings().tracking_uri
    return Path(
        download_artifacts(
            artifact_uri=artifact_uri, dst_path=str(folder), tracking_uri=uri, registry_uri=uri
        )
    )


def read_registration(client: MlflowClient, name: str, version: str) -> Registration:
    """Where a version is, with the aliases it has now."""
    found = client.get_model_version(name, version)
    run_id = found.run_id or ""
    return Registration(
        name=name,
        version=str(version),
        model_uri=f"models:/{name}/{version}",
        model_id=(found.source or "").removeprefix("models:/"),
        run_id=run_id,
        run_url=_run_url(client, run_id),
        aliases=tuple(sorted(found.aliases)),
    )


def find_named(client: MlflowClient, model_uri: str) -> ModelVersion:
    """The version that ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS`` means now.

    Raises:
        BadInput: There is none.
    """
    match = _MODEL_URI.fullmatch(model_uri)
    if match is None:
        raise BadInput(
            f"{model_uri!r} is no model; write models:/NAME/VERSION, models:/NAME@ALIAS, "
            "or a folder that holds a proof.json"
        )
    name, version, alias = match["name"], match["version"], match["alias"]
    try:
        if version is not None:
            return client.get_model_version(name, version)
        return client.get_model_version_by_alias(name, alias)
    except Exception as error:
        # By its code, not by its class: a run with nothing to do asks without importing mlflow.
        if getattr(error, "error_code", None) not in _MISSING:
            raise
        raise BadInput(f"the registry has no {model_uri}; {_near(client, name)}") from None


def _fetch_proof(uri: str, model_uri: str, folder: Path) -> Path:
    """The ``proof.json`` among a version's files; its absence is told before all are fetched."""
    from mlflow.exceptions import MlflowException

    try:
        return fetch(f"{uri}/proof.json", folder)
    except (MlflowException, OSError) as error:
        if is_away(error):
            raise
        raise BadInput(
            f"{model_uri} carries no proof; onnxproof did not make that version"
        ) from None


def _near(client: MlflowClient, name: str) -> str:
    """What the registry has instead."""
    for model in client.search_registered_models(f"name = '{name}'"):
        versions = sorted(int(version.version) for version in model.latest_versions)
        aliases = [f"@{alias}" for alias in sorted(model.aliases)]
        return f"of {name} it has {', '.join([f'/{versions[-1]}', *aliases])}" if versions else ""
    names = [model.name for model in client.search_registered_models(max_results=20)]
    return f"it has {', '.join(names)}" if names else "it is empty; `onnxproof export` fills it"


def _run_url(client: MlflowClient, run_id: str) -> str:
    uri = read_settings().tracking_uri
    if not is_http(uri) or not run_id:
        return ""
    experiment = client.get_run(run_id).info.experiment_id
    return f"{shown_url(uri).rstrip('/')}/#/experiments/{experiment}/runs/{run_id}{VIEW}"
