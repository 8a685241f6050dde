"""The order of a whole run, written once: the flow hands it tasks, the library plain functions."""

from __future__ import annotations

from pathlib import Path

from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline import outcome
from onnxproof.pipeline.plan import Plan, start_children
from onnxproof.pipeline.search import search_candidates
from onnxproof.pipeline.stages import Stages
from onnxproof.pipeline.workspace import discard_work
from onnxproof.proof.local import find_local
from onnxproof.records import Comparison, ExportOutcome, Proof, Registration, Run
from onnxproof.tracking import import_ahead


def run_stages(plan: Plan, stages: Stages, *, force: bool) -> ExportOutcome:
    """From a plan to a registered version; nothing is proven twice unless ``force`` asks for it.

    Raises:
        OnnxproofError: Of the stage that broke or said no.
    """
    if not force and plan.key is not None and (ended := _known(plan, stages, plan.key)):
        return ended
    start_children(plan)
    import_ahead()
    with plan.working() as work:
        loaded = stages.load(plan.spec, work)
        key = plan.key_of(loaded)
        if not force and plan.key is None and (ended := _known(plan, stages, key)):
            discard_work(work)
            return ended
        run = Run(plan.spec, work, loaded)
        search = search_candidates(run, stages)  # export, simplify, check; benchmark the proven
        proof = stages.conclude(run, key, search)
        return _register_and_promote(plan, stages, proof, Path(work.folder))


def _known(plan: Plan, stages: Stages, key: str) -> ExportOutcome | None:
    """The end of a run that has nothing to prove; None when it has.

    A version with this key is unchanged, and a promotion cut short is made up for. A proof that
    this machine has and no registry, since MLflow was away at its end, is registered now.
    """
    if (found := stages.look_up(plan.spec.name, key)) is not None:
        registration, comparison = _promote(plan, stages, found, new=False)
        ended = outcome.unchanged(key, registration, plan.settings.home)
        return outcome.compared(ended, comparison)
    if (local := find_local(plan.settings.home, plan.spec.name, key)) is not None:
        folder, proof = local
        prepare_children()
        return _register_and_promote(plan, stages, proof, folder)
    return None


def _register_and_promote(plan: Plan, stages: Stages, proof: Proof, folder: Path) -> ExportOutcome:
    registered = stages.register(proof, folder)
    registration, comparison = _promote(plan, stages, registered, new=True)
    return outcome.compared(outcome.proven(proof, registration, folder), comparison)


def _promote(
    plan: Plan, stages: Stages, registration: Registration, *, new: bool
) -> tuple[Registration, Comparison | None]:
    """The version with the aliases that it is due, and what decided on ``champion``.

    A proven version that a gate refuses stays ``challenger``; the next run with the same key asks
    the gates again, as the spec has them then, beside the champion of that day. Other machines
    measure it before that: each time, and once where it is never to be promoted.
    """
    spec = plan.spec
    if "champion" in registration.aliases or (spec.promote == "never" and not new):
        return stages.promote(registration, spec.promote, None), None
    elsewhere = tuple(
        stages.measure_elsewhere(asked, registration, spec.gates)
        for asked in spec.benchmark.elsewhere
    )
    if spec.promote == "never":
        return stages.promote(registration, "never", None), None
    with plan.scratch() as work:
        comparison = stages.compare(spec, work, registration, elsewhere)
    registration = stages.promote(
        registration, "never" if comparison.against else "auto", comparison
    )
    return registration, comparison
