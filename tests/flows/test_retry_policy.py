from __future__ import annotations

from typing import Any

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from onnxproof.errors import RegisterError, ServerUnreachable
from tasks import dispatch, registry, stages, timing
from tasks.retry_policy import server_was_away

TASKS: dict[str, Task[..., Any]] = {
    name: value
    for module in (dispatch, registry, stages, timing)
    for name, value in vars(module).items()
    if isinstance(value, Task)
}
TALK_TO_MLFLOW = {
    "compare", "describe", "log_measurement", "look_up", "measure_version", "promote", "register",
}  # fmt: skip


def test_there_is_a_task_for_every_stage() -> None:
    once = {"load", "export", "simplify", "check", "localize", "benchmark", "conclude"}
    assert once | TALK_TO_MLFLOW | {"measure_elsewhere"} == set(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_prefect_caches_and_keeps_nothing(name: str) -> None:
    task = TASKS[name]
    assert (task.cache_policy, task.persist_result) == (NO_CACHE, False)


@pytest.mark.parametrize("name", TASKS)
def test_only_what_talks_to_mlflow_is_tried_again_and_only_when_it_was_away(name: str) -> None:
    task = TASKS[name]
    assert bool(task.retries) == (name in TALK_TO_MLFLOW)
    assert (task.retry_condition_fn is server_was_away) == (name in TALK_TO_MLFLOW)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_name_and_a_run_name(name: str) -> None:
    task = TASKS[name]
    assert task.name == name.replace("_", "-")
    assert callable(task.task_run_name) or str(task.task_run_name).startswith(f"{task.name}-")


@pytest.mark.parametrize("name", TASKS)
def test_no_task_has_a_tag_for_which_a_busy_prefect_answers_two_seconds_late(name: str) -> None:
    assert not TASKS[name].tags


@pytest.mark.parametrize(
    ("error", "again"), [(ServerUnreachable("away"), True), (RegisterError("no"), False)]
)
def test_a_refusal_stays_one(error: Exception, again: bool) -> None:
    state: State[object] = Failed(data=error)
    assert server_was_away(TASKS["register"], None, state) is again  # type: ignore[arg-type]
