"""What tasks that talk to MLflow have in common; the other tasks are never tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import ServerUnreachable

if TYPE_CHECKING:
    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

MLFLOW_RETRIES: Final = 2
MLFLOW_DELAYS: Final[list[float]] = [2, 8]
"""Seconds; MLflow's own client has tried for some seconds before each."""


def server_was_away(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: a server that did not answer may, a refusal stays one."""
    return isinstance(state.result(raise_on_failure=False), ServerUnreachable)
