"""What a fleet of machines shares: one benchmark at a time on a device, and each other's devices.

The lock of the host (``onnxproof.isolation.machine_lock``) is a file, and containers of one host
have no file in common. So where a Prefect server is configured, a benchmark holds a slot of a
global concurrency limit too, which is named after host and device.

A provider of another machine is measured by a deployment of ``measure-version`` on that machine's
pool. What it found comes back by way of MLflow, the one store that both have.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from onnxproof.errors import BenchmarkError, one_line
from onnxproof.progress import say
from onnxproof.promotion.measure_version import measure_elsewhere, not_measured
from onnxproof.records import MeasuredElsewhere, Registration
from onnxproof.runtime import device_of
from onnxproof.settings import read_settings
from onnxproof.spec import Elsewhere, Gates, Provider
from onnxproof.tracking import read_measurement

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

HOST: Final = "ONNXPROOF_HOST"
"""The host's name, where a container has one of its own (Kubernetes: ``spec.nodeName``)."""
LEASE_SECONDS: Final = 60
"""After which a process that was killed has no slot any more; the shortest that Prefect takes."""
POLL_SECONDS: Final = 2.0


def slots(providers: Iterable[Provider]) -> list[str]:
    """Names of the limits that a benchmark on these providers needs, always in one order.

    PyTorch is timed on the same devices, and every benchmark keeps a processor busy.
    """
    host = os.environ.get(HOST) or platform.node()
    devices = {"cpu"}
    for provider in providers:
        device = device_of(provider.name, provider.options)
        devices.add(device.kind if device.kind == "cpu" else f"{device.kind}{device.number}")
    return [f"onnxproof-{host}-{device}" for device in sorted(devices)]


@contextmanager
def alone_in_the_fleet(providers: Iterable[Provider]) -> Iterator[None]:
    """Hold a slot of every device; nothing is asked of a temporary server, which has no fleet.

    Raises:
        BenchmarkError: A limit cannot be made, or no slot be had.
    """
    if read_settings().prefect_api_url is None:
        yield
        return
    from prefect.concurrency.sync import concurrency

    names = slots(providers)
    with ExitStack() as stack:
        try:
            _make(names)
            say("benchmark", f"a slot of {', '.join(names)}")
            stack.enter_context(
                concurrency(names, occupy=1, strict=True, lease_duration=LEASE_SECONDS)
            )
        except Exception as error:  # Prefect's own, or of what it talks through
            raise BenchmarkError(
                f"cannot get a slot of {', '.join(names)}, which keep benchmarks of one device "
                f"apart: {one_line(error, 300)}; look at Prefect's page Concurrency"
            ) from error
        yield


def _make(names: Iterable[str]) -> None:
    """The limits that are missing, of one slot each; one that a person changed stays as it is."""
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for name in names:
            try:
                client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                client.upsert_global_concurrency_limit_by_name(name, limit=1)


def measured_by(asked: Elsewhere, registration: Registration, gates: Gates) -> MeasuredElsewhere:
    """Have the deployment measure a version, and fetch what it logged.

    Raises:
        BenchmarkError: A required provider was not measured.
        ServerUnreachable: MLflow does not answer.
    """
    if read_settings().prefect_api_url is None:
        return measure_elsewhere(asked, registration, gates)
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
