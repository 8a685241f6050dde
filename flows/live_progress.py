"""Show on the Prefect page what a long stage is doing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger

from onnxproof.progress import Step, listen

if TYPE_CHECKING:
    from uuid import UUID

SECONDS_BETWEEN: Final = 2.0
"""Each update is a request to the server; a stage counts a hundred steps a second."""


def is_deployed() -> bool:
    """Whether a deployment started this run: somebody looks at its page, and anybody may be it."""
    # prefect.runtime.deployment.id asks the server again, which takes 0.3 s.
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.deployment_id)


@contextmanager
def watched() -> Iterator[None]:
    """Show every step that is said inside of the block on the run's page."""
    watcher = Watcher()
    with listen(watcher):
        try:
            yield
        finally:
            watcher.end_stage()


class Watcher:
    """Logs what stages say, and keeps a progress artifact for a stage that counts for long."""

    def __init__(self) -> None:
        self._stage = ""
        self._shown_at = 0.0
        self._artifact: UUID | None = None

    def __call__(self, step: Step) -> None:
        """Tell the page, unless it was told just now."""
        now = time.monotonic()
        if not step.total or step.stage != self._stage:
            self.end_stage()
            self._stage = step.stage
        elif now - self._shown_at < SECONDS_BETWEEN:
            return
        else:
            self._count(step)
        self._shown_at = now
        get_run_logger().info("%s", step.text)

    def end_stage(self) -> None:
        """The stage is over; its bar says so."""
        if self._artifact is not None:
            update_progress_artifact(self._artifact, 100.0)
        self._artifact = None

    def _count(self, step: Step) -> None:
        percent = 100 * step.done / step.total
        if self._artifact is None:
            key = f"progress-{step.stage}"
            found = create_progress_artifact(percent, key=key, description=step.text)
            assert not hasattr(found, "__await__")
            self._artifact = found
        else:
            update_progress_artifact(self._artifact, percent, description=step.text)
