"""One real Prefect server for all tests of flows, and the program as people run it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.testing import CliRunner

from onnxproof.settings import quiet_environment
from tests.conftest import TOY

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    text: str  # of both streams, as a terminal shows them
    stdout: str
    outcome: dict[str, Any]


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server of the tests' own."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as until_the_end:
        for name, value in quiet_environment().items():
            patch.setenv(name, value)
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        from prefect.settings import PREFECT_API_URL
        from prefect.testing.utilities import prefect_test_harness

        until_the_end.enter_context(prefect_test_harness(server_startup_timeout=180))
        patch.undo()  # other tests start servers of their own, in homes of their own
        yield str(PREFECT_API_URL.value())


@pytest.fixture
def write_spec(tmp_path: Path) -> Callable[..., Path]:
    """Write the toy's spec with changes, and give its path."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "toy.yaml"
        path.write_text(yaml.safe_dump({**TOY, **changes}, sort_keys=False))
        return path

    return write


@pytest.fixture
def onnxproof(
    prefect_api: str, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run the program in this process, against the tests' Prefect and an empty registry."""
    from flows.cli.app import app

    monkeypatch.chdir(ROOT)

    def run(*arguments: str | Path) -> Ended:
        written = tmp_path / "outcome.json"
        written.unlink(missing_ok=True)
        command = [str(argument) for argument in arguments]
        if command[0] == "export":
            command += ["--json", str(written)]
        result = CliRunner().invoke(app, command)
        outcome = json.loads(written.read_text()) if written.exists() else {}
        return Ended(result.exit_code, result.output, result.stdout, outcome)

    return run


def command(*arguments: str | Path) -> list[str]:
    """The program as a command line of its own."""
    program = Path(sys.executable).with_name("onnxproof")
    return [str(program), *map(str, arguments)]


def environment_for(prefect_api: str) -> Mapping[str, str]:
    """What a process of its own needs to talk to the tests' Prefect."""
    return {**os.environ, "PREFECT_API_URL": prefect_api}
