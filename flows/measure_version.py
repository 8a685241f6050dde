"""The flow ``measure-version``: a registered version on the providers of the machine it runs on."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed
from pydantic import Field

from flows.artifacts import publish_measurement
from flows.live_progress import is_deployed, watched
from onnxproof.errors import OnnxproofError
from onnxproof.pipeline.workspace import scratch_work
from onnxproof.proof.versions import flow_version
from onnxproof.records import VersionMeasurement
from onnxproof.settings import apply_environment, read_settings, require_servers
from onnxproof.spec import Gates, Provider
from tasks import registry, timing


@flow(
    name="measure-version",
    flow_run_name="measure-{model}",
    version=flow_version(),
    persist_result=False,
)
def measure_version(
    model: str,
    providers: Annotated[tuple[Provider, ...], Field(min_length=1, max_length=16)] = (Provider(),),
    gates: Gates | None = None,
) -> State[VersionMeasurement]:
    """Hold a registered version to its proof on this machine, and time it beside the champion.

    What is found is logged to the MLflow run that registered the version. export-model asks for
    this where a spec names the deployment under benchmark.elsewhere.

    Args:
        model: models:/NAME/VERSION, or models:/NAME@ALIAS.
        providers: Execution providers of this machine, with their options.
        gates: What the version's promotion asks for; those of its own spec if left out.
    """
    deployed, settings = is_deployed(), read_settings()
    apply_environment(settings)
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    try:
        require_servers(settings)
        with (
            watched() if deployed else nullcontext(),
            scratch_work(settings.allow, local_code=not deployed) as work,
        ):
            proof, registration = registry.describe(model)
            measured = timing.measure_version(proof, registration, providers, gates, work)
            registry.log_measurement(registration, measured, work, str(context.flow_run.id))
            publish_measurement(registration, measured, work)
    except OnnxproofError as error:
        return Failed(message=str(error), data=error)
    wrong = [check for check in measured.checks if check.verdict.outcome == "failed"]
    text = f"Wrong on {', '.join(check.provider for check in wrong)}" if wrong else "Measured"
    return Completed(message=f"{text}: {registration.model_uri}", data=measured)
