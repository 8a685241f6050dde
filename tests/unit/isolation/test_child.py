from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import psutil
import pytest

from onnxproof.errors import LoadError, SourceError
from onnxproof.isolation.child import LOG_TAIL_LINES, prepare_children, run_in_child
from onnxproof.progress import Step, listen
from onnxproof.spec import Limits
from tests.helpers import child_stages

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> Iterator[None]:
    prepare_children(preload=("onnxproof.records",))
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # there is no public way


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    def call(
        stage: Callable[[Any], Any], request: Any, *, seconds: float = 30, memory_gb: float = 4
    ) -> Any:
        return run_in_child(
            stage,
            request,
            failed=LoadError,
            limits=Limits(seconds=seconds, memory_gb=memory_gb),
            log=tmp_path / "child.log",
        )

    return call


def gone(pid: int, within: float = 2) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def read_pid(path: Path, within: float = 20) -> int:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if path.is_file() and path.read_text():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{path} was never written")


def test_the_result_comes_back(run: Callable[..., Any]) -> None:
    assert run(child_stages.double, 21) == 42


def test_none_is_a_result_too(run: Callable[..., Any]) -> None:
    assert run(child_stages.sleep, 0) is None


def test_a_child_sees_the_environment_as_it_is_now(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROOF_TEST_WORD", "now")
    assert run(child_stages.environment_of, "ONNXPROOF_TEST_WORD") == "now"


def test_a_child_does_not_import_main_again(run: Callable[..., Any]) -> None:
    loaded = run(child_stages.modules_loaded, None)
    assert "tests.helpers.child_stages" in loaded
    assert not {"pytest", "prefect"} & set(loaded)


def test_steps_of_a_child_reach_the_listener_of_the_parent(run: Callable[..., Any]) -> None:
    seen: list[Step] = []
    with listen(seen.append):
        run(child_stages.tell_steps, 3)
    message = [step for step in seen if step.stage == "count"]
    assert message == [Step("count", "counting", done, 3) for done in range(3)]


def test_an_exception_is_an_error_with_its_type_and_text(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError) as caught:
        run(child_stages.raise_value_error, "no such layer")
    assert str(caught.value) == "load failed: ValueError: no such layer"
    assert caught.value.end == "error"
    assert "about to fail" in caught.value.log_tail
    assert "Traceback" in caught.value.log_tail


def test_our_own_error_keeps_its_class(run: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="weights are missing"):
        run(child_stages.raise_our_error, "weights are missing")


def test_an_exception_that_cannot_be_pickled_still_tells_its_text(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError, match="LocalError: holds a lock"):
        run(child_stages.raise_unpicklable, None)


def test_a_result_that_cannot_be_pickled_is_a_failure(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError) as caught:
        run(child_stages.return_unpicklable, None)
    assert "pickle" in str(caught.value) + caught.value.log_tail


def test_the_last_lines_of_the_log_are_kept(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        run(child_stages.print_lines, 100)
    tail = caught.value.log_tail.splitlines()
    assert len(tail) == LOG_TAIL_LINES
    assert tail[-1] == "RuntimeError: after printing"
    assert "line 0\n" in (tmp_path / "child.log").read_text()


def test_words_of_native_code_are_in_the_log(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError) as caught:
        run(child_stages.print_from_native_code, None)
    assert caught.value.log_tail == "native words"
    assert "SIGABRT" in str(caught.value)


def test_a_crash_names_its_signal(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError) as caught:
        run(child_stages.segfault, None)
    assert caught.value.end == "crash"
    assert str(caught.value) == "load crashed with SIGSEGV"


def test_os_exit_is_a_crash_that_names_the_code(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError, match="ended its process with exit code 7") as caught:
        run(child_stages.leave, 7)
    assert caught.value.end == "crash"


@pytest.mark.parametrize("code", [0, 7])
def test_sys_exit_is_an_error_and_not_an_exit_of_ours(run: Callable[..., Any], code: int) -> None:
    with pytest.raises(LoadError, match=rf"called sys.exit\({code}\)") as caught:
        run(child_stages.call_sys_exit, code)
    assert caught.value.end == "error"


def test_an_interrupt_inside_a_child_does_not_interrupt_the_parent(run: Callable[..., Any]) -> None:
    with pytest.raises(LoadError, match="KeyboardInterrupt"):
        run(child_stages.interrupt, None)


@pytest.mark.parametrize(
    ("stage", "request_"),
    [(child_stages.sleep, 60), (child_stages.hold_interpreter_lock, 3_000_000)],
    ids=["sleeps", "native"],
)
def test_a_timeout_kills_and_names_the_limit(
    run: Callable[..., Any], stage: Callable[[Any], Any], request_: Any
) -> None:
    start = time.monotonic()
    with pytest.raises(LoadError, match=r"within 0.5 s .* raise limits.seconds") as caught:
        run(stage, request_, seconds=0.5)
    assert caught.value.end == "timeout"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("stage", [child_stages.eat_memory, child_stages.eat_memory_in_grandchild])
def test_too_much_memory_kills_and_names_the_limit(
    run: Callable[..., Any], stage: Callable[[Any], Any]
) -> None:
    with pytest.raises(LoadError, match=r"more than limits.memory_gb = 0.3") as caught:
        run(stage, 600, memory_gb=0.3)
    assert caught.value.end == "out_of_memory"


def test_a_finished_child_leaves_no_grandchild(run: Callable[..., Any], tmp_path: Path) -> None:
    run(child_stages.start_grandchild, str(tmp_path / "pid"))
    assert gone(read_pid(tmp_path / "pid"))


def test_a_killed_child_leaves_no_grandchild(run: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(LoadError):
        run(child_stages.start_grandchild_and_sleep, str(tmp_path / "pid"), seconds=2)
    assert gone(read_pid(tmp_path / "pid"))


def test_no_child_is_left_after_all_ends(run: Callable[..., Any]) -> None:
    for stage, request_ in (
        (child_stages.double, 1),
        (child_stages.leave, 1),
        (child_stages.call_sys_exit, 1),
    ):
        try:
            run(stage, request_)
        except LoadError:
            continue
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_children_are_gone_within_two_seconds_of_their_parent(tmp_path: Path, name: str) -> None:
    pid_file = tmp_path / "pid"
    code = f"""
        import signal
        from pathlib import Path
        from onnxproof.isolation.child import prepare_children, run_in_child
        from onnxproof.errors import LoadError
        from onnxproof.spec import Limits
        from tests.helpers.child_stages import write_pid_and_sleep
        # A shell that starts the tests in its background has them ignore SIGINT, children too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        prepare_children(preload=())
        run_in_child(
            write_pid_and_sleep, {str(pid_file)!r}, failed=LoadError, limits=Limits(),
            log=Path({str(tmp_path / "log")!r}),
        )
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    child = read_pid(pid_file)
    os.kill(parent.pid, getattr(signal, name))
    parent.wait(timeout=5)
    assert gone(child)
