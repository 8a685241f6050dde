"""A Prefect and an MLflow server on loopback: ``python -m onnxproof.servers up``.

Both keep their data where runs without a server keep it, so the same runs and versions are seen
either way: Prefect's database in its home, MLflow's beside it, artifacts in a plain folder.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from onnxproof.artifact import atomic_write
from onnxproof.errors import BadInput, OnnxproofError, ServerUnreachable
from onnxproof.servers import deployments as deployment
from onnxproof.servers.server import Server, Start, processes, servers_of, start, stop
from onnxproof.settings import Settings, fault_of, read_servers, read_settings

START_SECONDS: Final = 180.0
BUSY_SECONDS: Final = 10.0
"""A server whose processes are there is given this long before it counts as broken."""
SECONDS_BETWEEN: Final = 5.0
"""Of lines about a start where there is no terminal to draw on."""
TAIL_LINES: Final = 12

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Local servers, the deployments on them, and a worker.",
)


@app.command()
def up() -> None:
    """Start what does not run yet, and return when both servers answer."""
    with _errors_shown():
        settings = read_settings()
        with _alone(settings.home):
            _up(settings)
        for variable in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
            if os.environ.get(variable):
                typer.echo(f"{variable} is set in this shell and goes before these; unset it")


@app.command()
def down() -> None:
    """Stop both servers, with every process they have."""
    with _errors_shown():
        settings = read_settings()
        for server in servers_of(settings):
            ended = stop(server)
            what = f"stopped, {ended} processes" if ended else "was not running"
            typer.echo(f"{server.title}: {what}")
        (settings.home / "servers.json").unlink(missing_ok=True)


@app.command()
def status() -> None:
    """Say what runs; exit code 5 when one of the two does not."""
    with _errors_shown():
        settings = read_settings()
        noted = read_servers(settings.home)
        missing = []
        for server in servers_of(settings):
            entry = noted.get(server.name, {})
            if _runs(server, entry):
                typer.echo(f"{server.title}: {entry['url']}, process {entry['pid']}")
            else:
                missing.append(server.title)
        if missing:
            raise ServerUnreachable(
                f"not running for {settings.home}: {' and '.join(missing)}; `make up` starts both"
            )


@app.command()
def deploy() -> None:
    """Create the work pools and the deployments; again is fine."""
    with _errors_shown():
        deployment.deploy(read_settings())


@app.command()
def worker(
    pool: Annotated[str, typer.Option(help="Whose runs it takes.")] = deployment.POOLS[0],
) -> None:
    """Run what the deployments ask for, until Ctrl-C."""
    with _errors_shown():
        deployment.become_worker(read_settings(), pool)


def _up(settings: Settings) -> None:
    """Start what does not run yet.

    Raises:
        BadInput: A port that the environment fixes is taken.
        ServerUnreachable: A server ended while it started, or did not answer in time.
    """
    noted = {name: dict(entry) for name, entry in read_servers(settings.home).items()}
    starts: list[Start] = []
    try:
        for server in servers_of(settings):
            if _runs(server, noted.get(server.name, {})):
                typer.echo(f"{server.title} runs already: {noted[server.name]['url']}")
                continue
            stop(server)  # a half of it may be left
            starts.append(start(server))
            typer.echo(f"{server.title} starts, its log is {server.log}")
        _wait(starts)
    except BaseException:
        for started in starts:
            stop(started.server)
        raise
    if starts:
        noted.update({started.server.name: started.entry for started in starts})
        with atomic_write(settings.home / "servers.json") as draft:
            draft.write_text(json.dumps(noted, indent=2) + "\n", encoding="utf-8")


def _runs(server: Server, entry: Mapping[str, str]) -> bool:
    url = entry.get("api_url") or entry.get("url")
    return bool(url and processes(server) and not fault_of(url, BUSY_SECONDS))


def _wait(starts: list[Start]) -> None:
    """Return when all of them answer, and say meanwhile that they do not yet."""
    from rich.console import Console

    console = Console()
    waiting = list(starts)
    began = shown_at = time.monotonic()
    with console.status("") as shown:
        while waiting:
            now = time.monotonic()
            seconds = now - began
            names = " and ".join(started.server.title for started in waiting)
            shown.update(f"waiting for {names}, {seconds:.0f} s")
            if not console.is_terminal and now - shown_at > SECONDS_BETWEEN:
                shown_at = now
                typer.echo(f"waiting for {names}, {seconds:.0f} s")
            for started in waiting.copy():
                if _answers(started, seconds):
                    waiting.remove(started)
                    typer.echo(f"{started.server.title}: {started.entry['url']}")
            time.sleep(0.2)


def _answers(started: Start, seconds: float) -> bool:
    """Whether the server is up; it must be its own process that answers.

    Raises:
        ServerUnreachable: It is over, or takes too long.
    """
    code = started.process.poll()
    if code is not None:
        raise _failed(started, f"ended with exit code {code} after {seconds:.0f} s")
    fault = fault_of(started.api)
    if fault and seconds > START_SECONDS:
        raise _failed(started, f"does not answer after {seconds:.0f} s ({fault})")
    return not fault


def _failed(started: Start, what: str) -> ServerUnreachable:
    lines = started.server.log.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(f"  {line}" for line in lines[-TAIL_LINES:]) or "  (it is empty)"
    return ServerUnreachable(
        f"{started.server.title} was started at {started.entry['url']} and {what}; mend what "
        f"the end of its log {started.server.log} says, then `make up` again:\n{tail}"
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two `up` at once would start four servers on two databases."""
    import fcntl

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "servers.lock").open("wb")
    except OSError as error:
        raise BadInput(
            f"cannot write in {home}: {error.strerror}; set ONNXPROOF_HOME to a folder that can be"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Turn an error into its paragraph and its exit code."""
    try:
        yield
    except OnnxproofError as error:
        typer.echo(f"error {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
