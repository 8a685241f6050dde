"""What a run with nothing to do asks of an MLflow server, without importing mlflow.

That import takes 2 s, and most nights nothing has changed. The methods have the names and the
answers of ``MlflowClient``, so that the rules in ``versions``, ``aliases`` and
``unfinished_runs`` are written once;
https://mlflow.org/docs/latest/rest-api.html has the requests.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from types import SimpleNamespace
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

from onnxproof.settings import shown_url

TIMEOUT_SECONDS: Final = 10


class MlflowNeeded(Exception):
    """Something is to be written, or the answer was not plain; MLflow's own client is the one."""


class RestReader:
    """The part of ``MlflowClient`` that reads; any other attribute raises ``MlflowNeeded``.

    It knows no login: a server that wants one answers 401, which is ``MlflowNeeded`` too.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._root = f"{shown_url(tracking_uri).rstrip('/')}/api/2.0/mlflow"

    def __getattr__(self, name: str) -> NoReturn:
        raise MlflowNeeded(name)

    def search_model_versions(
        self, filter_string: str, order_by: Sequence[str] = (), max_results: int = 100
    ) -> list[SimpleNamespace]:
        """Versions that the filter lets through; their aliases are not told here."""
        asked = {"filter": filter_string, "order_by": order_by, "max_results": max_results}
        found = self._get("model-versions/search", **asked).get("model_versions", [])
        return [_version(version) for version in found]

    def get_model_version(self, name: str, version: str) -> SimpleNamespace:
        """One version, with its tags and aliases."""
        found = self._get("model-versions/get", name=name, version=version)
        return _version(found["model_version"])

    def get_model_version_by_alias(self, name: str, alias: str) -> SimpleNamespace:
        """The version that an alias means."""
        found = self._get("registered-models/alias", name=name, alias=alias)
        return _version(found["model_version"])

    def get_registered_model(self, name: str) -> SimpleNamespace:
        """The aliases of a model, and the version that each means."""
        aliases = self._get("registered-models/get", name=name)["registered_model"].get("aliases")
        return SimpleNamespace(
            aliases={alias["alias"]: alias["version"] for alias in aliases or ()}
        )

    def get_experiment_by_name(self, name: str) -> SimpleNamespace:
        """The experiment's number."""
        found = self._get("experiments/get-by-name", experiment_name=name)["experiment"]
        return SimpleNamespace(experiment_id=found["experiment_id"])

    def get_run(self, run_id: str) -> SimpleNamespace:
        """A run's times and tags."""
        return _run(self._get("runs/get", run_id=run_id)["run"])

    def search_runs(
        self, experiment_ids: Sequence[str], filter_string: str
    ) -> list[SimpleNamespace]:
        """The first page of runs, which must be all of them."""
        asked = {"experiment_ids": list(experiment_ids), "filter": filter_string}
        answer = self._ask("runs/search", json.dumps(asked).encode())
        if "next_page_token" in answer:
            raise MlflowNeeded("there are more runs")
        return [_run(run) for run in answer.get("runs", [])]

    def _get(self, path: str, **parameters: object) -> dict[str, Any]:
        return self._ask(f"{path}?{urlencode(parameters, doseq=True)}")

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._root}/{path}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError, HTTPException) as error:
            raise MlflowNeeded(str(error)) from error


def _version(found: dict[str, Any]) -> SimpleNamespace:
    optional = {"run_id": "", "source": "", "aliases": []}
    return SimpleNamespace(**{**optional, **found, "tags": _tags(found)})


def _run(found: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(
        info=SimpleNamespace(**found["info"]), data=SimpleNamespace(tags=_tags(found["data"]))
    )


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in found.get("tags", ())}
