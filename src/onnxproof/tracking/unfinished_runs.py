"""Runs of MLflow that registered a version, or would have, had their process not been killed.

A killed process leaves a run in the state ``registering``, and maybe a logged model that no version
points to. Both are inert; the next run of the same model finishes the one whose version was made,
and removes the rest.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT: Final = "onnxproof"
MODEL_TAG: Final = "onnxproof.model"
STATE_TAG: Final = "onnxproof.state"
PROCESS_TAG: Final = "onnxproof.process"
OLD_SECONDS: Final = 24 * 3600
"""After this long a run of another machine counts as left behind; its stages ended far earlier."""

_open: Final[set[str]] = set()
"""Runs that this very process is registering now."""

State = Literal["registering", "registered", "failed", "abandoned"]


def start_tags(name: str) -> dict[str, str]:
    """Tags of a run that is about to register a version of ``name``."""
    return {MODEL_TAG: name, STATE_TAG: "registering", PROCESS_TAG: _this_process()}


@contextlib.contextmanager
def kept_open(run_id: str) -> Iterator[None]:
    """Inside of the block the run is no leftover, although nothing of it is finished."""
    _open.add(run_id)
    try:
        yield
    finally:
        _open.discard(run_id)


def end_run(client: MlflowClient, run_id: str, state: State) -> None:
    """Note how the run ended, and end it."""
    status = {"registered": "FINISHED", "failed": "FAILED"}.get(state, "KILLED")
    client.set_tag(run_id, STATE_TAG, state)
    client.set_terminated(run_id, status)


def settle_leftovers(client: MlflowClient, name: str) -> None:
    """Finish or remove what killed processes left of ``name``; running ones stay."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return
    wanted = f"tags.`{MODEL_TAG}` = '{name}' and tags.`{STATE_TAG}` = 'registering'"
    for run in client.search_runs([experiment.experiment_id], wanted):
        if not _may_still_run(run):
            settle(client, run, "abandoned")


def settle(client: MlflowClient, run: Run, state: State) -> None:
    """End a run that stopped halfway: as registered when its version was made, else as ``state``.

    Without a version its logged models are deleted; nothing points to them.
    """
    run_id = run.info.run_id
    if client.search_model_versions(f"run_id = '{run_id}'"):
        end_run(client, run_id, "registered")
        return
    for model in client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run_id}'"
    ):
        client.delete_logged_model(model.model_id)
    end_run(client, run_id, state)


def _may_still_run(run: Run) -> bool:
    if run.info.run_id in _open:
        return True
    if run.data.tags.get(PROCESS_TAG) == _this_process():
        return False  # MLflow went away meanwhile, and could not be told of the end
    host, _, process = run.data.tags.get(PROCESS_TAG, "").partition("/")
    if host != platform.node():
        return bool(time.time() - run.info.start_time / 1000 < OLD_SECONDS)
    pid, _, started = process.partition("/")
    with contextlib.suppress(ValueError):
        return _started_at(int(pid)) == started
    return False


def _this_process() -> str:
    return f"{platform.node()}/{os.getpid()}/{_started_at(os.getpid())}"


def _started_at(pid: int) -> str:
    """When the process began, since numbers of processes come again; empty when it is gone."""
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""
