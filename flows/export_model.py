"""The flow ``export-model``: from a spec to a registered version that carries its proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from enum import StrEnum
from typing import Annotated, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from flows.artifacts import publish, publish_refusal
from flows.live_progress import is_deployed, watched
from onnxproof.errors import BadInput, OnnxproofError, Refused
from onnxproof.pipeline.outcome import refuse_withheld
from onnxproof.pipeline.plan import Plan, make_plan
from onnxproof.pipeline.run import run_stages
from onnxproof.proof.versions import flow_version
from onnxproof.records import ExportOutcome, Proof, Run, SearchResult
from onnxproof.settings import apply_environment, read_settings, require_servers
from tasks import dispatch, registry, stages, timing

_PLANNED: Final[ContextVar[Plan | None]] = ContextVar("planned", default=None)


@contextmanager
def planned(plan: Plan) -> Iterator[None]:
    """Let the flow take this plan inside of the block: its caller has resolved the spec already."""
    token = _PLANNED.set(plan)
    try:
        yield
    finally:
        _PLANNED.reset(token)


def _conclude(run: Run, key: str, search: SearchResult) -> Proof:
    """The task ``conclude``; when no candidate was proven, the page says why."""
    try:
        return stages.conclude(run, key, search)
    except OnnxproofError:
        publish_refusal(run.spec.name, run.loaded, search)
        raise


class Tasks:
    """The stages of a run as Prefect tasks, in the order in which ``run_stages`` calls them."""

    # Once; nothing more is done for a version whose proof key is registered.
    look_up = staticmethod(registry.look_up)
    load = staticmethod(stages.load)
    # For each strategy and variant, then for each simplifier of a graph that is proven.
    export = staticmethod(stages.export)
    simplify = staticmethod(stages.simplify)
    check = staticmethod(stages.check)
    localize = staticmethod(stages.localize)  # only what failed parity
    # Of all that is proven.
    benchmark = staticmethod(timing.benchmark)
    # Of the chosen candidate.
    conclude = staticmethod(_conclude)
    register = staticmethod(registry.register)
    measure_elsewhere = staticmethod(dispatch.measure_elsewhere)
    compare = staticmethod(timing.compare)
    promote = staticmethod(registry.promote)  # last: consumers never see what is not proven


class Promotion(StrEnum):
    """Whether a proven version becomes ``champion``."""

    from_spec = "from_spec"
    auto = "auto"
    never = "never"


class Search(StrEnum):
    """Which proven graph is taken."""

    from_spec = "from_spec"
    first = "first"
    fastest = "fastest"


@flow(
    name="export-model",
    flow_run_name="export-{model}",
    version=flow_version(),
    persist_result=False,
)
def export_model(
    model: str,
    promotion: Promotion = Promotion.from_spec,
    search: Search = Search.from_spec,
    overrides: Annotated[tuple[str, ...], Field(max_length=50)] = (),
    force: bool = False,
) -> State[ExportOutcome]:
    """Export a PyTorch model to ONNX, prove the file against PyTorch, register it.

    Ends as Completed when proven, and as Cached when the registry already has a version with the
    same weights, code, spec and toolchain. Called as a function it gives the ExportOutcome, or
    raises.

    Args:
        model: A model of the catalog, the folder deployments/catalog: digits-cnn or minilm.
        promotion: Whether a proven version becomes champion; from_spec does what the spec says.
        search: first stops at the first strategy that is proven, fastest proves all of them and
            times them; from_spec does what the spec says.
        overrides: Values of the spec to replace in this run, one an item, such as check.samples=8.
        force: Prove and register again although nothing has changed.
    """
    deployed = is_deployed()
    try:
        plan = _PLANNED.get()
        if plan is None:
            settings = read_settings()
            apply_environment(settings)
            require_servers(settings)
            replaced = [*overrides, *_overrides(promotion, search)]
            # Whoever reaches the page may start a run, so a deployment runs allowed code only.
            plan = make_plan(model, replaced, settings, local_code=not deployed)
        with watched() if deployed else nullcontext():
            ended = run_stages(plan, Tasks(), force=force)
            publish(ended)
            refuse_withheld(ended)
    except OnnxproofError as error:
        return Failed(message=_error_message(error), data=error)
    # Prefect's own names: its pages leave runs with other ones out of their lists.
    name = "Cached" if ended.status == "unchanged" else "Completed"
    return Completed(name=name, message=_end_message(ended), data=ended)


def _overrides(promotion: Promotion, search: Search) -> list[str]:
    chosen = {"promote": promotion, "export.search": search}
    return [f"{key}={value}" for key, value in chosen.items() if value != "from_spec"]


def _error_message(error: OnnxproofError) -> str:
    if isinstance(error, Refused):
        return f"Refused: {error}"
    return f"Bad input: {error}" if isinstance(error, BadInput) else str(error)


def _end_message(ended: ExportOutcome) -> str:
    registration = ended.registration
    assert registration is not None
    aliases = ", ".join(registration.aliases) or "no alias"
    word = ended.status.capitalize()
    return f"{word}: {registration.name} version {registration.version} ({aliases})"
