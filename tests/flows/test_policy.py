from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from onnxproof.errors import RegisterError, ServerUnreachable
from tasks.policy import server_was_away

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path.stem
    for path in (ROOT / "tasks").glob("*.py")
    if path.stem not in ("__init__", "fleet", "policy")
)
TALK_TO_MLFLOW = {
    "describe", "log_measurement", "look_up", "measure_version", "promote", "register",
    "comparison",
}  # fmt: skip


def task_of(name: str) -> Task[..., Any]:
    module = importlib.import_module(f"tasks.{name}")
    (found,) = [value for value in vars(module).values() if isinstance(value, Task)]
    return found


def test_there_is_a_task_for_every_stage() -> None:
    stages = {"load", "export", "simplify", "check", "localize", "benchmark", "register"}
    assert stages | TALK_TO_MLFLOW | {"conclude", "measure_elsewhere"} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_prefect_caches_and_keeps_nothing(name: str) -> None:
    task = task_of(name)
    assert (task.cache_policy, task.persist_result) == (NO_CACHE, False)


@pytest.mark.parametrize("name", FILES)
def test_only_what_talks_to_mlflow_is_tried_again_and_only_when_it_was_away(name: str) -> None:
    task = task_of(name)
    assert bool(task.retries) == (name in TALK_TO_MLFLOW)
    assert (task.retry_condition_fn is server_was_away) == (name in TALK_TO_MLFLOW)


@pytest.mark.parametrize("name", FILES)
def test_a_task_has_a_name_and_a_run_name(name: str) -> None:
    task = task_of(name)
    assert task.name == name.replace("_", "-")
    assert callable(task.task_run_name) or str(task.task_run_name).startswith(f"{task.name}-")


@pytest.mark.parametrize("name", FILES)
def test_no_task_has_a_tag_for_which_a_busy_prefect_answers_two_seconds_late(name: str) -> None:
    assert not task_of(name).tags


@pytest.mark.parametrize("name", FILES)
def test_the_body_of_a_task_is_one_call(name: str) -> None:
    source = inspect.getsource(task_of(name).fn)
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    _docstring, *body = function.body
    assert [type(statement) for statement in body] == [ast.Return]
    assert isinstance(body[0], ast.Return)
    assert isinstance(body[0].value, ast.Call)


@pytest.mark.parametrize(
    ("error", "again"), [(ServerUnreachable("away"), True), (RegisterError("no"), False)]
)
def test_a_refusal_stays_one(error: Exception, again: bool) -> None:
    state: State[object] = Failed(data=error)
    assert server_was_away(task_of("register"), None, state) is again  # type: ignore[arg-type]
