"""Local servers, the deployments on them, and their end, with the real programs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from onnxproof.servers.deployments import POOLS
from onnxproof.servers.server import MARK, processes, servers_of
from onnxproof.settings import fault_of, read_servers, read_settings
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.timeout(600)]


def servers(*words: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onnxproof.servers", *words],
        cwd=ROOT,
        env={**os.environ, "ONNXPROOF_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def marked(home: Path) -> list[int]:
    """Every process that says it belongs to a server of this home."""
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(MARK, "")
        except psutil.Error:
            continue
        if mark.endswith(f":{home}"):
            found.append(process.pid)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of two servers that are up, on ports that nobody else has."""
    folder = tmp_path_factory.mktemp("servers") / "home"
    ports = {"PREFECT_SERVER_API_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    answer = servers("up", home=folder, **ports)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    yield folder
    servers("down", home=folder)


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXPROOF_HOME", str(home))
    return home


def ask(home: Path, path: str) -> Any:
    request = urllib.request.Request(
        f"{read_servers(home)['prefect']['api_url']}/{path}",
        data=b"{}" if path.endswith("filter") else None,
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_both_servers_answer_and_are_found(at_home: Path) -> None:
    noted = read_servers(at_home)
    settings = read_settings()
    assert settings.prefect_api_url == noted["prefect"]["api_url"]
    assert settings.tracking_uri == noted["mlflow"]["url"]
    assert fault_of(noted["prefect"]["api_url"]) == ""
    assert fault_of(noted["mlflow"]["url"]) == ""
    assert servers("status", home=at_home).returncode == 0


def test_their_data_is_where_runs_without_servers_look(at_home: Path) -> None:
    assert (at_home / "prefect" / "prefect.db").is_file()
    assert (at_home / "mlflow.db").is_file()


def test_a_second_up_starts_nothing(at_home: Path) -> None:
    before = marked(at_home), read_servers(at_home)
    answer = servers("up", home=at_home)
    assert answer.returncode == 0
    assert answer.stdout.count("runs already") == 2
    assert (marked(at_home), read_servers(at_home)) == before


def test_deploying_twice_is_deploying_once(at_home: Path) -> None:
    seen = []
    for _ in range(2):
        answer = servers("deploy", home=at_home)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert answer.stdout.count(f"{read_servers(at_home)['prefect']['url']}/deployments/") == 3
        found = ask(at_home, "deployments/filter")
        seen.append({deployment["name"]: deployment["id"] for deployment in found})
        schedules = {deployment["name"]: len(deployment["schedules"]) for deployment in found}
        assert schedules == {"on-demand": 0, "nightly": 1, "gpu": 0}
        pools = {deployment["name"]: deployment["work_pool_name"] for deployment in found}
        cpu, gpu = POOLS
        assert pools == {"on-demand": cpu, "nightly": cpu, "gpu": gpu}
    assert seen[0] == seen[1]


def test_one_sigterm_ends_a_worker_also_one_that_a_shell_put_aside(at_home: Path) -> None:
    assert servers("deploy", home=at_home).returncode == 0
    command = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
    command += "os.execv(sys.executable, [sys.executable, '-m', 'onnxproof.servers', 'worker'])"
    worker = subprocess.Popen(
        [sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout is not None
        assert any("started" in line for line in worker.stdout)
        worker.terminate()
        worker.wait(timeout=30)
    finally:
        worker.kill()
        worker.communicate()


def test_what_is_registered_with_a_server_is_read_without_and_the_other_way(at_home: Path) -> None:
    import mlflow

    places = [f"sqlite:///{at_home}/mlflow.db", read_servers(at_home)["mlflow"]["url"]]
    for number, uri in enumerate(places):
        client = mlflow.MlflowClient(tracking_uri=uri)
        place = None if uri.startswith("http") else str(read_settings().artifact_root / "plain")
        experiment = client.create_experiment(f"by-{number}", place)
        run = client.create_run(experiment).info.run_id
        client.log_text(run, f"by {number}", "word.txt")
        assert "mlflow-artifacts:" not in client.get_run(run).info.artifact_uri
        for reader in places:
            fetched = mlflow.MlflowClient(tracking_uri=reader).download_artifacts(run, "word.txt")
            assert Path(fetched).read_text() == f"by {number}"


def test_down_ends_every_process_also_of_a_server_whose_head_was_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ports = {"PREFECT_SERVER_API_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    try:
        assert servers("up", home=home, **ports).returncode == 0
        assert len(marked(home)) >= 3
        # The tree's head dies; what it has left behind must be found all the same.
        os.kill(int(read_servers(home)["mlflow"]["pid"]), signal.SIGKILL)
        assert len(marked(home)) >= 2
    finally:
        began = time.monotonic()
        answer = servers("down", home=home)
        seconds = time.monotonic() - began
    assert answer.returncode == 0
    assert marked(home) == []
    assert seconds < 20
    assert not (home / "servers.json").exists()
    assert servers("down", home=home).returncode == 0


def test_a_server_that_ends_is_a_paragraph_with_the_end_of_its_log(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlflow.db").write_text("this is no database", encoding="utf-8")
    ports = {"PREFECT_SERVER_API_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    answer = servers("up", home=home, **ports)
    assert answer.returncode == 5
    assert "MLflow was started" in answer.stderr
    assert "file is not a database" in answer.stderr
    assert marked(home) == []
    assert not (home / "servers.json").exists()


def test_a_fixed_port_that_is_taken_is_bad_input(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = servers("up", home=tmp_path / "home", PREFECT_SERVER_API_PORT=port)
    assert answer.returncode == 2
    assert f"asks for port {port}" in answer.stderr
    assert marked(tmp_path / "home") == []


@pytest.mark.parametrize("word", ["deploy", "worker"])
def test_nothing_is_deployed_and_no_worker_starts_without_a_server(
    word: str, tmp_path: Path
) -> None:
    answer = servers(word, home=tmp_path / "home")
    assert answer.returncode == 5
    assert "`make up`" in answer.stderr


def test_a_password_in_the_address_is_not_deployed(at_home: Path) -> None:
    address = read_settings().tracking_uri.replace("http://", "http://me:secret@")
    answer = servers("deploy", home=at_home, MLFLOW_TRACKING_URI=address)
    assert answer.returncode == 2
    assert "MLFLOW_TRACKING_URI holds a password" in answer.stderr
    assert "secret" not in answer.stdout + answer.stderr


def test_another_home_has_other_servers(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROOF_HOME", str(at_home.parent / "other"))
    assert [processes(server) for server in servers_of(read_settings())] == [[], []]
