"""The one place that reads the environment, and the one that writes what Prefect and MLflow read.

Nothing configured means: Prefect's ephemeral server, MLflow on SQLite, all of it below one folder
of the project. Servers that ``make up`` started are found through ``servers.json`` in that folder.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

from onnxproof.errors import ServerUnreachable

ANSWER_SECONDS: Final = 2.5
"""For each server; both together stay within 5 s, and a busy one is not taken for absent."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says."""

    home: Path  # project-local data: databases, artifacts, logs
    tracking_uri: str
    artifact_root: Path  # of experiments made without a server
    prefect_api_url: str | None  # None: Prefect's ephemeral server
    allow: tuple[str, ...]  # packages whose code may be loaded
    catalog: Path  # folder of named specs


def read_settings(*, allow: Sequence[str] = ()) -> Settings:
    """Settings from the environment, and from ``servers.json`` where a server there answers.

    Args:
        allow: Packages whose code may be loaded, besides those of ``ONNXPROOF_ALLOW``.
    """
    home = Path(os.environ.get("ONNXPROOF_HOME") or ".onnxproof").expanduser().absolute()
    servers = read_servers(home)
    allowed = (os.environ.get("ONNXPROOF_ALLOW", ""), *allow)
    return Settings(
        home=home,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI")
        or _running(servers.get("mlflow", {}).get("url"))
        or f"sqlite:///{home}/mlflow.db",
        artifact_root=home / "mlartifacts",
        prefect_api_url=os.environ.get("PREFECT_API_URL")
        or _running(servers.get("prefect", {}).get("api_url")),
        allow=tuple(filter(None, re.split(r"[ ,]+", ",".join(allowed)))),
        catalog=Path(os.environ.get("ONNXPROOF_CATALOG") or "deployments/catalog").absolute(),
    )


def apply_environment(settings: Settings) -> None:
    """Set what Prefect and MLflow read; call it before either is imported.

    What is set already stays as it is; an empty variable is not set, as in ``read_settings``. A
    Prefect home of the project's own is given only to people who configured nothing of Prefect's,
    since it hides their profiles.
    """
    chosen = {"PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE"} & os.environ.keys()
    wanted = {
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        **quiet_environment(),
        # A dead server is known after 6 s; MLflow's own 7 retries take minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    if not chosen:
        wanted["PREFECT_HOME"] = str(settings.home / "prefect")
    if settings.prefect_api_url:
        wanted["PREFECT_API_URL"] = settings.prefect_api_url
    for name, value in wanted.items():
        os.environ[name] = os.environ.get(name) or value


def quiet_environment() -> dict[str, str]:
    """What turns the telemetry of Prefect and MLflow off."""
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }


def require_servers(settings: Settings) -> None:
    """Return when each configured server answers.

    Raises:
        ServerUnreachable: One did not within 2.5 s, or only with a server error.
    """
    asked = [("MLflow", settings.tracking_uri, "MLFLOW_TRACKING_URI")]
    if settings.prefect_api_url:
        asked.append(("Prefect", settings.prefect_api_url, "PREFECT_API_URL"))
    for server, url, variable in asked:
        if is_http(url) and (fault := fault_of(url)):
            raise ServerUnreachable(
                f"{server} was asked for at {shown_url(url)} and does not answer ({fault}); "
                f"start it (`make up` starts local ones), correct {variable}, "
                f"or unset {variable} to work without a server"
            )


def is_http(url: str) -> bool:
    """Whether ``url`` names a server, and not a database file."""
    return url.startswith(("http://", "https://"))


def shown_url(url: str) -> str:
    """``url`` without user and password, for messages and records; any URL, a database's too."""
    return re.sub("(?<=://)[^/?#]*@", "", url, count=1)


def fault_of(url: str, seconds: float = ANSWER_SECONDS) -> str:
    """Why the server at ``url`` does not answer its health endpoint; empty when it does.

    Any answer below 500 counts: a proxy may hide the endpoint, or want a login for it.
    """
    try:
        with urllib.request.urlopen(f"{shown_url(url).rstrip('/')}/health", timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code < 500 else f"HTTP {error.code}"
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError, HTTPException) as error:
        return str(error) or type(error).__name__


def read_servers(home: Path) -> Mapping[str, Mapping[str, str]]:
    """What ``make up`` noted of the servers it started; empty when it did not, or no more."""
    try:
        noted = json.loads((home / "servers.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(noted, dict):
        return {}
    return {name: entry for name, entry in noted.items() if isinstance(entry, dict)}


def _running(url: str | None) -> str | None:
    return url if url and not fault_of(url) else None
