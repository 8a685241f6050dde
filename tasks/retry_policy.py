"""The two policies: a stage is never tried again; what talks to MLflow is, if MLflow was away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from onnxproof.errors import ServerUnreachable

P = ParamSpec("P")
R = TypeVar("R")

MLFLOW_RETRIES: Final = 2
MLFLOW_DELAYS: Final[list[float]] = [2, 8]
"""Seconds; MLflow's own client has tried for some seconds before each."""


def stage_task(
    function: Callable[P, R], *, name: str, run_name: str | Callable[[], str]
) -> Task[P, R]:
    """A task that runs once: what failed in a child fails again.

    Args:
        function: The work; the task takes its parameters.
        name: Of the task.
        run_name: Of a run, with the function's parameters in braces; or what gives it.
    """
    return Task(
        fn=function,
        name=name,
        task_run_name=run_name,
        retries=0,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def registry_task(function: Callable[P, R], *, name: str, run_name: str) -> Task[P, R]:
    """A task that is tried again when MLflow did not answer; the arguments are those of a stage."""
    return Task(
        fn=function,
        name=name,
        task_run_name=run_name,
        retries=MLFLOW_RETRIES,
        retry_delay_seconds=MLFLOW_DELAYS,
        retry_condition_fn=server_was_away,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def server_was_away(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again can help: a server that did not answer may, a refusal stays one."""
    return isinstance(state.result(raise_on_failure=False), ServerUnreachable)
