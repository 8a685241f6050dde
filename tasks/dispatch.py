"""Have another machine measure a version, by a deployment of ``measure-version`` on its pool.

What it found comes back by way of MLflow, the one store that both have.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from onnxproof.errors import one_line
from onnxproof.progress import say
from onnxproof.promotion import version_measurement
from onnxproof.promotion.version_measurement import not_measured
from onnxproof.records import MeasuredElsewhere, Registration
from onnxproof.settings import read_settings
from onnxproof.spec import Elsewhere, Gates
from onnxproof.tracking import read_measurement
from tasks.retry_policy import stage_task

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

POLL_SECONDS: Final = 2.0


def measured_by(asked: Elsewhere, registration: Registration, gates: Gates) -> MeasuredElsewhere:
    """Have the deployment measure a version, and fetch what it logged.

    Raises:
        BenchmarkError: A required provider was not measured.
        ServerUnreachable: MLflow does not answer.
    """
    if read_settings().prefect_api_url is None:
        return version_measurement.measure_elsewhere(asked, registration, gates)
    try:
        run = _run_there(asked, registration, gates)
    except Exception as error:  # Prefect's own, or of what it talks through
        reason = (
            f"Prefect did not run it ({one_line(error, 300)}); `make deploy` makes ours "
            "where there is none, and where Prefect was away run the same again"
        )
        return not_measured(asked, reason)
    state = run.state
    if state is None or not state.is_final():
        reason = (
            f"it was {state.name if state else 'unknown'} after {asked.seconds:g} s and is "
            "cancelled; look whether a worker of its pool runs there, or give it more seconds"
        )
        return not_measured(asked, reason)
    if not state.is_completed():
        text = " ".join((state.message or "").split())[:600]
        return not_measured(asked, f"its run {run.name} ended as {state.name}: {text}")
    with tempfile.TemporaryDirectory(prefix="onnxproof-") as folder:
        found = read_measurement(registration, str(run.id), Path(folder))
    wrong = [check for check in found.checks if check.verdict.outcome == "failed"]
    return MeasuredElsewhere(
        deployment=asked.deployment,
        outcome="failed" if wrong else "passed",
        reason="; ".join(check.verdict.reason for check in found.checks),
        measurement=found,
    )


def _run_there(asked: Elsewhere, registration: Registration, gates: Gates) -> FlowRun:
    """The run, ended or with no time left; one that nobody waits for any more is cancelled."""
    from prefect import get_client
    from prefect.deployments import run_deployment

    parameters = {
        "model": registration.model_uri,
        "providers": [provider.model_dump(mode="json") for provider in asked.providers],
        "gates": gates.model_dump(mode="json"),
    }
    run = cast("FlowRun", run_deployment(asked.deployment, parameters=parameters, timeout=0))
    with get_client(sync_client=True) as client:
        start = time.monotonic()
        try:
            while not _ended(run) and time.monotonic() - start < asked.seconds:
                name = run.state.name if run.state else "unknown"
                say("measure elsewhere", f"{asked.deployment}: {run.name} is {name}")
                time.sleep(POLL_SECONDS)
                run = client.read_flow_run(run.id)
        finally:
            if not _ended(run):
                # Not by force: it may have ended since it was looked at, and then it stays so.
                client.set_flow_run_state(run.id, _cancelled(run))
    return run


def _ended(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _cancelled(run: FlowRun) -> State[Any]:
    """Of a run that a worker has, what makes it end it."""
    from prefect.states import Cancelled, Cancelling

    if run.state is not None and (run.state.is_running() or run.state.is_pending()):
        return Cancelling()
    return Cancelled()


measure_elsewhere = stage_task(
    measured_by, name="measure-elsewhere", run_name="measure-elsewhere-{asked.deployment}"
)
