"""How the program ends: one paragraph, its exit code, and the outcome in a file where asked."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from flows.cli.signals import Interruption
from onnxproof.errors import BadInput, OnnxproofError

if TYPE_CHECKING:
    from onnxproof.records import ExportOutcome

progress_console = Console(stderr=True)
interruption = Interruption()


@contextlib.contextmanager
def reported(json: Path | None = None) -> Iterator[None]:
    """Turn an error into its paragraph and its exit code, and write the outcome where asked."""
    interruption.last_words = lambda: _end(KeyboardInterrupt(), json)
    try:
        yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if interruption.came:
            interruption.end()  # Prefect has work for seconds more while Python shuts down
        raise typer.Exit(_end(error, json)) from None


@contextlib.contextmanager
def short_exit() -> Iterator[None]:
    """Let the process end with its exit handlers: freeing Prefect's modules takes up to 1 s."""
    code = 1

    def leave() -> None:
        logging.shutdown()  # the one handler that may have been registered before this one
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    atexit.register(leave)  # handlers run in the opposite order, so this is the last
    try:
        yield
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


def _end(error: BaseException, json: Path | None) -> int:
    from onnxproof.pipeline.outcome import failed

    outcome = failed(error)
    progress_console.show_cursor()
    _show(error)
    if json:
        with contextlib.suppress(BadInput):
            write_outcome(json, outcome)
    return outcome.exit_code


def _show(error: BaseException) -> None:
    from flows.cli.display import show_error

    if isinstance(error, OnnxproofError):
        show_error(progress_console, error)
    elif isinstance(error, KeyboardInterrupt):
        progress_console.print("interrupted")
    else:
        progress_console.print(
            f"This is a bug in onnxproof: {type(error).__name__}: {error}. Please report it with "
            f"the traceback in {_save_traceback()}.",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _save_traceback() -> Path:
    from onnxproof.settings import read_settings

    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = read_settings().home / "errors" / f"{stamp}.log"
    try:
        write_file(path, traceback.format_exc())
    except BadInput:
        path = Path(os.devnull)
    return path


def write_outcome(path: Path, outcome: ExportOutcome) -> None:
    """Write what ``--json`` asks for.

    Raises:
        BadInput: The file cannot be written.
    """
    write_file(path, outcome.model_dump_json(indent=2) + "\n")


def write_file(path: Path, text: str) -> None:
    """Write the whole file, or leave what is there.

    Raises:
        BadInput: It cannot be written.
    """
    from onnxproof.artifact import atomic_write

    try:
        with atomic_write(path) as draft:
            draft.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None
