from __future__ import annotations

import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onnxproof.errors import ServerUnreachable
from onnxproof.settings import (
    Settings,
    apply_environment,
    fault_of,
    read_servers,
    read_settings,
    require_servers,
    shown_url,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that says nothing but where home is."""
    for name in [
        variable for variable in os.environ if variable.startswith(("MLFLOW_", "PREFECT_", "ONNXP"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ONNXPROOF_HOME", str(tmp_path))
    return tmp_path


@contextmanager
def serving(status: int = 200) -> Iterator[str]:
    """A server on loopback that answers everything with ``status``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Path", self.path)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def settings_of(tracking_uri: str, prefect_api_url: str | None = None) -> Settings:
    here = Path.cwd()
    return Settings(
        home=here,
        tracking_uri=tracking_uri,
        artifact_root=here,
        prefect_api_url=prefect_api_url,
        allow=(),
        catalog=here,
    )


def test_nothing_configured_means_one_folder_of_the_project(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.delenv("ONNXPROOF_HOME")
    assert read_settings() == Settings(
        home=home / ".onnxproof",
        tracking_uri=f"sqlite:///{home}/.onnxproof/mlflow.db",
        artifact_root=home / ".onnxproof" / "mlartifacts",
        prefect_api_url=None,
        allow=(),
        catalog=home / "deployments" / "catalog",
    )
    assert not (home / ".onnxproof").exists()


def test_the_environment_says_where_everything_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("ONNXPROOF_HOME", "data")
    monkeypatch.setenv("ONNXPROOF_CATALOG", "specs")
    monkeypatch.setenv("ONNXPROOF_ALLOW", "timm, mynets,,")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect:4200/api")
    found = read_settings()
    assert (found.home, found.catalog) == (home / "data", home / "specs")
    assert found.allow == ("timm", "mynets")
    assert found.tracking_uri == "http://mlflow:5000"
    assert found.prefect_api_url == "http://prefect:4200/api"


def test_a_home_may_be_below_the_persons_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ONNXPROOF_HOME", "~/proofs")
    assert read_settings().home == home / "proofs"


def note_servers(home: Path, mlflow: str, prefect: str) -> None:
    noted = {"mlflow": {"url": mlflow}, "prefect": {"api_url": f"{prefect}/api"}}
    (home / "servers.json").write_text(json.dumps(noted))


def test_noted_servers_that_answer_are_used(home: Path) -> None:
    with serving() as url:
        note_servers(home, url, url)
        found = read_settings()
    assert (found.tracking_uri, found.prefect_api_url) == (url, f"{url}/api")


def test_noted_servers_that_do_not_answer_are_passed_over(home: Path) -> None:
    with serving() as url:
        note_servers(home, nowhere(), url)
        found = read_settings()
    assert found.tracking_uri == f"sqlite:///{home}/mlflow.db"
    assert found.prefect_api_url == f"{url}/api"


def test_the_environment_goes_before_noted_servers(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    with serving() as url:
        note_servers(home, url, url)
        found = read_settings()
    assert (found.tracking_uri, found.prefect_api_url) == ("http://mlflow:5000", f"{url}/api")


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[1]", '{"mlflow": "text", "prefect": null}', '{"mlflow": {}}'],
)
def test_a_note_that_cannot_be_read_is_no_note(home: Path, text: str) -> None:
    (home / "servers.json").write_text(text)
    assert read_settings().tracking_uri == f"sqlite:///{home}/mlflow.db"


def test_without_a_note_there_are_no_servers(home: Path) -> None:
    assert read_servers(home) == {}


def test_applying_turns_telemetry_off_and_names_the_databases(home: Path) -> None:
    apply_environment(read_settings())
    wanted = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(home / "prefect"),
    }
    assert {name: os.environ.get(name) for name in wanted} == wanted
    assert "PREFECT_API_URL" not in os.environ


def test_applying_never_overrides_what_is_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "9",
        "DO_NOT_TRACK": "0",
        "PREFECT_API_URL": "http://prefect:4200/api",
        "PREFECT_HOME": "/somewhere",
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    apply_environment(settings_of("http://other:1", "http://other:2/api"))
    assert {name: os.environ[name] for name in chosen} == chosen


def test_an_empty_variable_counts_as_not_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    settings = read_settings()
    apply_environment(settings)
    assert os.environ["MLFLOW_TRACKING_URI"] == settings.tracking_uri


@pytest.mark.parametrize("variable", ["PREFECT_API_URL", "PREFECT_PROFILE"])
def test_a_prefect_of_the_persons_own_keeps_its_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "mine")
    apply_environment(read_settings())
    assert "PREFECT_HOME" not in os.environ


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@host:5000/path", "http://host:5000/path"),
        ("https://token@host/api?x=1", "https://host/api?x=1"),
        ("http://me:p@ss@host", "http://host"),
        ("postgresql+psycopg2://me:secret@host/db", "postgresql+psycopg2://host/db"),
        ("http://host/mail@path", "http://host/mail@path"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("http://[::1", "http://[::1"),
        ("", ""),
    ],
)
def test_a_shown_url_has_no_credentials(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize("status", [200, 204, 401, 404])
def test_any_answer_below_500_counts(status: int) -> None:
    with serving(status) as url:
        assert fault_of(url) == ""
        require_servers(settings_of(url, f"{url}/api"))


def test_the_health_of_a_server_is_asked_below_its_own_path() -> None:
    with serving(503) as url:
        assert fault_of(f"{url}/api/") == "HTTP 503"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://host:notaport", "nonnumeric port"),
        ("http://", "no host given"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_a_url_that_is_none_is_a_fault(url: str, fault: str) -> None:
    assert fault in fault_of(url)


def test_a_database_is_no_server() -> None:
    require_servers(settings_of("sqlite:////nowhere/mlflow.db"))


@pytest.mark.parametrize(
    ("mlflow", "prefect", "server", "variable"),
    [
        (True, False, "Prefect", "PREFECT_API_URL"),
        (False, True, "MLflow", "MLFLOW_TRACKING_URI"),
    ],
)
def test_a_server_that_is_down_is_named_with_its_variable(
    mlflow: bool, prefect: bool, server: str, variable: str
) -> None:
    with serving() as up:
        down = nowhere()
        settings = settings_of(up if mlflow else down, up if prefect else down)
        with pytest.raises(ServerUnreachable) as caught:
            require_servers(settings)
    text = str(caught.value)
    assert text.startswith(f"{server} was asked for at {down} and does not answer ([Errno ")
    assert text.endswith(
        f"Connection refused); start it (`make up` starts local ones), correct {variable}, or "
        f"unset {variable} to work without a server"
    )
    assert caught.value.exit_code == 5


def test_the_message_about_a_server_holds_no_credentials() -> None:
    url = nowhere().replace("://", "://me:secret@")
    with pytest.raises(ServerUnreachable) as caught:
        require_servers(settings_of(url))
    assert "secret" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up_within_seconds() -> None:
    start = time.monotonic()
    with silent() as url, pytest.raises(ServerUnreachable, match="timed out"):
        require_servers(settings_of(url))
    assert time.monotonic() - start < 5
