"""Show on the Prefect page what a long stage is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from onnxproof.progress import Step

if TYPE_CHECKING:
    from uuid import UUID

SECONDS_BETWEEN: Final = 2.0
"""Each update is a request to the server; a stage counts a hundred steps a second."""


class Watcher:
    """Logs what stages say, and keeps a progress artifact for a stage that counts for long."""

    def __init__(self) -> None:
        self._stage = ""
        self._told_at = 0.0
        self._artifact: UUID | None = None

    def __call__(self, step: Step) -> None:
        """Tell the page, unless it was told just now."""
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._artifact = step.stage, None
        elif now - self._told_at < SECONDS_BETWEEN:
            return
        else:
            self._count(step)
        self._told_at = now
        get_run_logger().info("%s", step.text)

    def _count(self, step: Step) -> None:
        if not step.total:
            return
        percent = 100 * step.done / step.total
        if self._artifact is None:
            found = create_progress_artifact(percent, key=f"progress-{step.stage}")
            assert not hasattr(found, "__await__")
            self._artifact = found
        else:
            update_progress_artifact(self._artifact, percent, description=step.text)
