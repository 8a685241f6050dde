"""One local server as processes: its command, its port, its start and its end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from onnxproof.errors import BadInput
from onnxproof.settings import Settings, quiet_environment

if TYPE_CHECKING:
    import psutil

HOST: Final = "127.0.0.1"
MARK: Final = "ONNXPROOF_SERVER"
"""Environment variable of every process of a server: which one it is, and whose home it serves."""
PORTS_TRIED: Final = 100
STOP_SECONDS: Final = 4.0
"""uvicorn waits for open pages; a browser keeps one for as long as its tab is there."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two, for one home."""

    name: Literal["prefect", "mlflow"]
    title: str
    settings: Settings
    usual_port: int
    port_variable: str  # the server's own, with which people fix its port

    @property
    def mark(self) -> str:
        """What ``MARK`` says in the environment of its processes."""
        return f"{self.name}:{self.settings.home}"

    @property
    def log(self) -> Path:
        """Where it prints; the log of the start before is kept beside it."""
        return self.settings.home / "logs" / f"{self.name}.log"


@dataclass(frozen=True, slots=True)
class Start:
    """A server that was started, and may not answer yet."""

    server: Server
    process: subprocess.Popen[bytes]
    entry: dict[str, Any]  # of servers.json

    @property
    def api(self) -> str:
        """The address below which ``/health`` is."""
        return str(self.entry.get("api_url") or self.entry["url"])


def servers_of(settings: Settings) -> tuple[Server, Server]:
    """Both servers of a home."""
    return (
        Server("prefect", "Prefect", settings, 4200, "PREFECT_SERVER_API_PORT"),
        Server("mlflow", "MLflow", settings, 5000, "MLFLOW_PORT"),
    )


def start(server: Server) -> Start:
    """Start the server and return at once.

    Raises:
        BadInput: The port that the environment fixes is taken.
    """
    port = _port(server)
    entry: dict[str, Any] = {"url": f"http://{HOST}:{port}"}
    if server.name == "prefect":
        entry["api_url"] = f"{entry['url']}/api"
    command, environment = (_prefect if server.name == "prefect" else _mlflow)(port, server)
    server.log.parent.mkdir(parents=True, exist_ok=True)
    if server.log.exists():
        server.log.replace(server.log.with_suffix(".log.1"))
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**environment, MARK: server.mark},
            cwd=server.settings.home,  # Prefect takes settings from a project in the current folder
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it outlives the terminal, and its Ctrl-C
        )
    return Start(server, process, {**entry, "pid": process.pid})


def stop(server: Server) -> int:
    """End every process of the server; how many there were."""
    import psutil

    ended: set[int] = set()
    while found := processes(server):  # one that was just starting is seen the second time
        for process in found:
            with suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(found, timeout=STOP_SECONDS)
        for process in alive:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=STOP_SECONDS)
        ended.update(process.pid for process in found)
    return len(ended)


def processes(server: Server) -> list[psutil.Process]:
    """Every process of the server, also of one whose parent was killed.

    A number in a file may be someone else's process by now; the mark is inherited, and stays.
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == server.mark:
                found.append(process)
    return found


def _prefect(port: int, server: Server) -> tuple[list[str], dict[str, str]]:
    environment = {
        **quiet_environment(),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        **os.environ,
        # Otherwise pages ask the server that PREFECT_API_URL or a profile names.
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",
    }
    environment.pop("PREFECT_API_URL", None)
    if not {"PREFECT_HOME", "PREFECT_PROFILE"} & environment.keys():
        environment["PREFECT_HOME"] = str(server.settings.home / "prefect")
    return ["prefect", "server", "start", "--host", HOST, "--port", str(port)], environment


def _mlflow(port: int, server: Server) -> tuple[list[str], dict[str, str]]:
    environment = {
        **quiet_environment(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # for GenAI; it takes eight processes more
        **os.environ,
    }
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{server.settings.home}/mlflow.db"]
    # The root makes new experiments lie in a plain folder, which is read without a server too; the
    # destination serves what has an mlflow-artifacts:/ location all the same.
    root = str(server.settings.artifact_root)
    command += ["--default-artifact-root", root, "--artifacts-destination", root]
    return command, environment


def _port(server: Server) -> int:
    """The port that the environment fixes, or the first free one from the usual one on."""
    fixed = os.environ.get(server.port_variable)
    if not fixed:
        tried = range(server.usual_port, server.usual_port + PORTS_TRIED)
        if free := next(filter(_is_free, tried), None):
            return free
        raise BadInput(
            f"no port from {tried[0]} to {tried[-1]} is free for {server.title}; "
            f"set {server.port_variable} to one that is"
        )
    if not fixed.isdecimal() or not 0 < int(fixed) < 65536:
        raise BadInput(f"{server.port_variable} is {fixed!r}; set it to a port, or unset it")
    if not _is_free(int(fixed)):
        raise BadInput(
            f"{server.port_variable} asks for port {fixed}, and something else listens there; "
            "stop that, or unset the variable to take the next free port"
        )
    return int(fixed)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection that was closed a moment ago does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
