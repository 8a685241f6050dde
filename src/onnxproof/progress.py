"""What a long stage is doing, told to whoever listens: a terminal, Prefect, or the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

_log = logging.getLogger(__name__)


class Step(NamedTuple):
    """One message. ``done`` and ``total`` count the same thing; ``total`` 0 means unknown."""

    stage: str
    text: str
    done: int = 0
    total: int = 0


Listener = Callable[[Step], None]


def _log_line(step: Step) -> None:
    count = f" ({step.done}/{step.total})" if step.total else ""
    _log.info("%s: %s%s", step.stage, step.text, count)


_listener: Listener = _log_line


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send every step of this process, and of its stages' children, to ``listener``."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


def say(stage: str, text: str, done: int = 0, total: int = 0) -> None:
    """Tell the listener what ``stage`` is doing now."""
    _listener(Step(stage, text, done, total))
