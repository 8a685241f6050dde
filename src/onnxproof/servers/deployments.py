"""The deployments of ``prefect.yaml``: what they stand on, and a worker that runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Final, NoReturn

import typer

from onnxproof.errors import BadInput, ServerUnreachable
from onnxproof.proof.versions import flow_version
from onnxproof.settings import Settings, apply_environment, is_http, require_servers, shown_url

PROJECT: Final = "prefect.yaml"
POOLS: Final = ("onnxproof-cpu", "onnxproof-gpu")
POOL_TEMPLATE: Final = "deployments/work-pool.cpu.json"
_VARIABLE: Final = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")
_DEPLOYED: Final = re.compile(r"Deployment '([^']+)' successfully")
_ADDRESS: Final = re.compile(r"View Deployment in UI: (\S+)")


def deploy(settings: Settings) -> None:
    """Create the work pool and the deployments, or bring them up to date.

    Raises:
        BadInput: This is no checkout, a variable is not set, or Prefect refuses what is written.
        ServerUnreachable: There is no Prefect server, or one of the servers does not answer.
    """
    _prepare(settings)
    typer.echo(f"deploying {os.environ['ONNXPROOF_VERSION']} to {_shown(settings)}")
    for pool in POOLS:
        if _prefect("work-pool", "inspect", pool).returncode:
            template = ["--base-job-template", POOL_TEMPLATE]
            _asked("work-pool", "create", pool, "--type", "process", *template)
            typer.echo(f"work pool {pool} made from {POOL_TEMPLATE}")
    printed = _asked("deploy", "--all")
    for name, url in zip_longest(_DEPLOYED.findall(printed), _ADDRESS.findall(printed)):
        typer.echo(f"{name}: {url or 'deployed'}")
    typer.echo(
        f"`make worker` starts a worker of {POOLS[0]}; `make worker POOL={POOLS[1]}`, on a machine "
        f"with a GPU, one of {POOLS[1]}"
    )


def become_worker(settings: Settings, pool: str) -> NoReturn:
    """Turn this process into a worker of the pool.

    Raises:
        BadInput: This is no checkout, a variable is not set, or there is no such pool.
        ServerUnreachable: There is no Prefect server, or one of the servers does not answer.
    """
    if pool not in POOLS:
        raise BadInput(f"there is no pool {pool}; {PROJECT} has {' and '.join(POOLS)}")
    _prepare(settings)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool]
    # Prefect would make a missing pool itself, without our template.
    command += ["--no-create-pool-if-not-found", "--install-policy", "never"]
    typer.echo(f"worker of {pool} on {_shown(settings)}; Ctrl-C ends it")
    sys.stdout.flush()
    # Prefect's worker answers SIGTERM with a SIGINT to itself, which a shell's `&` makes it ignore.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, command)  # noqa: S606  # Ctrl-C then reaches Prefect itself


def needed_variables(text: str) -> tuple[str, ...]:
    """Environment variables that a ``prefect.yaml`` names; Prefect says nothing of an unset one."""
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def _prepare(settings: Settings) -> None:
    """Set what Prefect's program and the flow runs read, after a look at whether all is there."""
    for needed in (PROJECT, POOL_TEMPLATE):
        if not Path(needed).is_file():
            raise BadInput(f"no {needed} in {Path.cwd()}; go to a checkout of onnxproof first")
    if settings.prefect_api_url is None:
        raise ServerUnreachable(
            "deployments need a Prefect server and none runs here; "
            "start one with `make up`, or set PREFECT_API_URL to yours"
        )
    require_servers(settings)
    apply_environment(settings)
    wanted = {
        "ONNXPROOF_HOME": str(settings.home),
        "ONNXPROOF_ROOT": str(Path.cwd()),
        "ONNXPROOF_VERSION": flow_version(),
    }
    for name, value in wanted.items():
        os.environ[name] = os.environ.get(name) or value
    tracking_uri = os.environ["MLFLOW_TRACKING_URI"]
    if is_http(tracking_uri) and shown_url(tracking_uri) != tracking_uri:
        raise BadInput(
            "MLFLOW_TRACKING_URI holds a password, which a deployment would show on Prefect's "
            "pages; take it out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD "
            "where the worker runs"
        )
    names = needed_variables(Path(PROJECT).read_text(encoding="utf-8"))
    if unset := [name for name in names if not os.environ.get(name)]:
        raise BadInput(f"{PROJECT} needs {', '.join(unset)}, and it is not set; export it first")


def _asked(*words: str) -> str:
    """What Prefect's program printed.

    Raises:
        BadInput: It refused.
    """
    answer = _prefect(*words)
    if answer.returncode:
        raise BadInput(
            f"`prefect {' '.join(words)}` was refused; correct what it says:\n"
            + (answer.stdout + answer.stderr).strip()
        )
    return answer.stdout


def _prefect(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *words],
        env={**os.environ, "COLUMNS": "240", "NO_COLOR": "1"},  # addresses stay on one line
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _shown(settings: Settings) -> str:
    assert settings.prefect_api_url is not None
    return shown_url(settings.prefect_api_url)
