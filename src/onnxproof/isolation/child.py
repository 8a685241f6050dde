"""Run a stage in a child process that can always be killed.

Native code ignores Python's timeouts, may crash, and may eat the machine, so every stage that runs
some has a process of its own: forked from a server that has torch imported already (20 ms, against
2.5 s for a fresh interpreter), in a session of its own, watched for wall clock, for the memory of
its whole process tree, and for the death of the parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, TypeVarTuple

from onnxproof.errors import ChildEnd, OnnxproofError, StageError, one_line
from onnxproof.progress import Step, listen, say

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from onnxproof.spec import Limits

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

POLL_SECONDS: Final = 0.25
"""Between looks at a child's memory. A look takes 1.2 ms: on one core for all, one every 50 ms made
a benchmark's long calls 3 % slower than they are by themselves (docs/decisions.md)."""
LOG_TAIL_LINES: Final = 20
PRELOAD: Final = (
    "torch", "torch._dynamo", "torch.onnx", "onnx", "onnxscript",
    "onnxproof.records", "onnxproof.isolation.preload",
)  # fmt: skip
"""Not onnxruntime: its import starts a thread, and a fork copies only the thread that forks."""

PRELOAD_VARIABLE: Final = "ONNXPROOF_PRELOAD"
"""How the fork server's process gets the names for ``isolation.preload``, with commas between."""

_start_lock = threading.Lock()


class _Answer(NamedTuple):
    """What the stage returned; None is a result too."""

    result: object


class _Failure(NamedTuple):
    """An exception that is not ours; it crosses as text, since its class may not unpickle here."""

    text: str


def prepare_children(*, preload: tuple[str, ...] = PRELOAD, names: Iterable[str] = ()) -> None:
    """Start the fork server, which imports while this process goes on; one that runs stays.

    Args:
        preload: Modules, imported first.
        names: What ``isolation.preload`` imports besides, such as ``transformers.BertModel``.
    """
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preload))
    with _start_lock, _light_main(), _variable(PRELOAD_VARIABLE, ",".join(names)):
        forkserver.ensure_running()


def run_in_child(
    stage: Callable[[*Arguments], Result],
    *arguments: *Arguments,
    failed: type[StageError],
    limits: Limits,
    log: Path,
    doing: str = "",
) -> Result:
    """What ``stage(*arguments)`` returns, computed in a child process.

    Args:
        stage: A function of a module, found again in the child by its name.
        *arguments: Small and picklable.
        failed: Raised, with ``end`` and ``log_tail``, when the child ends without an answer.
        limits: Wall-clock seconds and gigabytes of resident memory of the child and its children.
        log: File that takes everything the child prints.
        doing: What people are told meanwhile; the log's name if left out.

    Raises:
        OnnxproofError: The stage's own, as it was raised in the child.
        StageError: ``failed``: another exception, a crash, a timeout or too much memory.
    """
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    log.parent.mkdir(parents=True, exist_ok=True)
    say(failed.stage, doing or log.stem)
    served = (stage, arguments, sender, str(log), dict(os.environ))
    process = context.Process(target=_serve, args=served, name=stage.__name__)
    with _start_lock, _light_main():
        process.start()
    sender.close()
    try:
        answer: Result = _await_answer(process, receiver, failed, limits, log)
        process.join(timeout=1)  # a clean end gives back its semaphores; tqdm, in torch, has one
        return answer
    finally:
        _kill_tree(process)
        receiver.close()


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a process that is started inside of the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _light_main() -> Iterator[None]:
    # multiprocessing imports __main__ again in every child; under a Prefect worker that is
    # prefect.engine (1.1 s a child). Stages live in modules, so children need no __main__ at all.
    real = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = real


def _await_answer(
    process: BaseProcess,
    receiver: Connection,
    failed: type[StageError],
    limits: Limits,
    log: Path,
) -> Result:  # type: ignore[type-var]  # bound by run_in_child's caller
    deadline = time.monotonic() + limits.seconds

    def fail(end: ChildEnd, what: str) -> StageError:
        said = log.read_text(errors="replace") if log.exists() else ""  # it printed nothing
        tail = "\n".join(said.splitlines()[-LOG_TAIL_LINES:])
        return failed(f"{failed.stage} {what}", end=end, log_tail=tail)

    while True:
        try:
            answer = receiver.recv() if receiver.poll(POLL_SECONDS) else None
        except EOFError:
            process.join(timeout=5)
            raise fail("crash", _describe_exit(process.exitcode)) from None
        if isinstance(answer, Step):
            say(*answer)
        elif isinstance(answer, OnnxproofError):
            raise answer
        elif isinstance(answer, _Failure):
            raise fail("error", f"failed: {answer.text}")
        elif isinstance(answer, _Answer):
            return answer.result  # type: ignore[return-value]
        if time.monotonic() > deadline:
            raise fail(
                "timeout",
                f"did not finish within {limits.seconds:g} s and was killed; "
                "raise limits.seconds if it needs longer",
            )
        used_gb = _used_gb(process.pid, limits.memory_gb)
        if used_gb > limits.memory_gb:
            raise fail(
                "out_of_memory",
                f"used {used_gb:.1f} GB, more than limits.memory_gb = {limits.memory_gb:g}, "
                "and was killed; raise the limit if the model needs it",
            )


def _describe_exit(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        hint = " (the kernel's answer to no memory left)" if name == "SIGKILL" else ""
        return f"crashed with {name}{hint}"
    return f"ended its process with exit code {code} before it gave a result"


def _used_gb(pid: int | None, limit_gb: float) -> float:
    """Resident memory of a process and its descendants, as far as it matters for the limit.

    Pages that are shared, such as torch's own, count once for each process in the first sum, which
    is read at once; splitting them holds the child up for milliseconds, so that waits for need.
    """
    used_gb = _resident_bytes(pid) / 1e9
    return used_gb if used_gb <= limit_gb else _resident_bytes(pid, split_shared=True) / 1e9


def _resident_bytes(pid: int | None, *, split_shared: bool = False) -> int:
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                memory = process.memory_full_info() if split_shared else process.memory_info()
                total += getattr(memory, "pss", memory.rss)  # no pss outside Linux
    return total


def _kill_tree(process: BaseProcess) -> None:
    """End the child and everything it started; its watcher too."""
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # the group does not exist before the child has called setsid
    process.join(timeout=5)


def _serve(
    stage: Callable[[*Arguments], object],
    arguments: tuple[*Arguments],
    sender: Connection,
    log: str,
    environment: dict[str, str],
) -> None:
    """The child's whole life."""
    os.setsid()  # a group to kill, and no Ctrl-C from the terminal: the parent decides
    _die_with_parent()
    os.environ.clear()
    os.environ.update(environment)  # the fork server has the environment of its own start
    _print_to(log)
    answer: object
    try:
        with listen(sender.send):
            answer = _Answer(stage(*arguments))
    except OnnxproofError as error:
        answer = error
    except BaseException as error:
        traceback.print_exc()
        answer = _Failure(_describe(error))
    sys.stdout.flush()  # the parent reads the log's tail as soon as it has the answer
    sys.stderr.flush()
    sender.send(answer)
    sender.close()


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the code called sys.exit({error.code!r})"
    text = one_line(error, 1000)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _die_with_parent() -> None:
    """Have a watcher kill this process group once the parent is gone.

    A thread would not do: native code can hold the interpreter lock for minutes.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    if os.fork() == 0:
        # Only the sentinel stays open, else the parent would never see this child's pipe close.
        os.dup2(parent.sentinel, 0)
        os.closerange(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.read(0, 1)  # returns when the parent's end closes
        os.killpg(0, signal.SIGKILL)


def _print_to(log: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.close(handle)
