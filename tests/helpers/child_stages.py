"""Stages that tests run in children, found again there as ``tests.helpers.child_stages``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from onnxproof.errors import SourceError
from onnxproof.progress import say


def double(number: int) -> int:
    return 2 * number


def tell_steps(count: int) -> int:
    for done in range(count):
        say("count", "counting", done, count)
    return count


def environment_of(name: str) -> str:
    return os.environ.get(name, "")


def modules_loaded(_: None) -> list[str]:
    return sorted(sys.modules)


def raise_value_error(text: str) -> None:
    print("about to fail")
    raise ValueError(text)


def raise_our_error(text: str) -> None:
    raise SourceError(text)


def raise_unpicklable(_: None) -> None:
    class LocalError(Exception):
        def __init__(self, lock: Any) -> None:
            super().__init__("holds a lock")
            self.lock = lock

    raise LocalError(threading.Lock())


def return_unpicklable(_: None) -> Any:
    return threading.Lock()


def print_lines(count: int) -> None:
    for number in range(count):
        print(f"line {number}", flush=True)
    raise RuntimeError("after printing")


def print_from_native_code(_: None) -> None:
    os.write(1, b"native words\n")
    os.abort()


def leave(code: int) -> None:
    os._exit(code)


def call_sys_exit(code: int) -> None:
    sys.exit(code)


def segfault(_: None) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def interrupt(_: None) -> None:
    raise KeyboardInterrupt


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def hold_interpreter_lock(exponent: int) -> int:
    """Native code that no Python thread can interrupt."""
    return len(str(7**exponent))


def eat_memory(megabytes: int) -> None:
    kept = [bytearray(os.urandom(1) * 1_000_000) for _ in range(megabytes)]
    time.sleep(60)
    kept.clear()


def eat_memory_in_grandchild(megabytes: int) -> None:
    code = f"import time; kept = bytearray(b'x') * {megabytes * 1_000_000}; time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=True)


def write_pid_and_sleep(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def start_grandchild(path: str) -> str:
    """Leaves a process behind, and returns."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(path).write_text(str(grandchild.pid))
    return path


def start_grandchild_and_sleep(path: str) -> None:
    start_grandchild(path)
    time.sleep(60)
