"""The program ends with its exit code, after its exit handlers and before anything else."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys, threading, time
from flows.cli.error_output import short_exit
class Left:
    def __del__(self):
        print("taken apart")
with short_exit():
    left = sys.modules["kept"] = Left()
    atexit.register(print, "handler")
    threading.Thread(target=lambda: [time.sleep(0.2), print("thread")]).start()
    {ending}
"""


@pytest.mark.parametrize(
    ("ending", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(4)", 4), ("sys.exit('why')", 1), ("1 / 0", 1)],
)
def test_the_program_ends_with_its_exit_code_after_its_exit_handlers(
    ending: str, code: int
) -> None:
    command = [sys.executable, "-c", PROGRAM.format(ending=ending)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stdout.split() == ["thread", "handler"]
