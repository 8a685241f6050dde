from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from onnxproof.errors import BenchmarkError
from onnxproof.isolation.machine_lock import alone_on_this_machine, lock_path

HOLD = """
import sys, time
from onnxproof.isolation.machine_lock import alone_on_this_machine
with alone_on_this_machine(lambda: None):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_nobody_waits_on_a_machine_that_measures_nothing() -> None:
    for _ in range(2):
        with alone_on_this_machine(lambda: pytest.fail("it waited")):
            assert lock_path().exists()


def test_a_second_benchmark_waits_and_goes_on_when_the_first_is_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    waited, entered = threading.Event(), threading.Event()

    def measure() -> None:
        with alone_on_this_machine(waited.set):
            entered.set()

    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        thread = threading.Thread(target=measure)
        thread.start()
        assert waited.wait(10)
        assert not entered.wait(0.3)
        other.send_signal(signal.SIGKILL)
        assert entered.wait(10)
        thread.join()
    finally:
        other.kill()
        other.wait()
        if other.stdout:
            other.stdout.close()


def test_a_link_that_somebody_put_there_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    lock_path().symlink_to(target)
    with (
        pytest.raises(BenchmarkError, match=r"cannot open .*remove it, or set TMPDIR"),
        alone_on_this_machine(lambda: None),
    ):
        pass
    assert not target.exists()
