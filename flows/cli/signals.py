"""Ctrl-C and SIGTERM end the program within two seconds, whatever Prefect is doing then.

Ctrl-C reaches Prefect's temporary server too, and Prefect would go on for a minute to tell a dead
server that the run has crashed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from types import FrameType

GRACE_SECONDS: Final = 0.8
EXIT_CODE: Final = 130


class Interruption:
    """Raises KeyboardInterrupt at the first signal, and ends the process when that is not enough.

    Attributes:
        came: Whether there was one; what is raised after it says nothing new.
        last_words: Called before the process is ended by force.
    """

    def __init__(self) -> None:
        self.came = False
        self._ending = threading.Lock()
        self.last_words: Callable[[], object] = lambda: None

    def install(self) -> None:
        """Listen to both signals; in the main thread only."""
        signal.signal(signal.SIGINT, self._take)
        signal.signal(signal.SIGTERM, self._take)

    def _take(self, _signal: int, _frame: FrameType | None) -> None:
        if not self.came:
            self.came = True
            timer = threading.Timer(GRACE_SECONDS, self.end)
            timer.daemon = True
            timer.start()
        raise KeyboardInterrupt

    def end(self) -> NoReturn:
        """End this process and its children now, whatever else would be done at its end."""
        import psutil

        if not self._ending.acquire(blocking=False):
            threading.Event().wait()  # the other thread that ends it has a word to say still
        try:
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
            self.last_words()
        finally:
            os._exit(EXIT_CODE)
