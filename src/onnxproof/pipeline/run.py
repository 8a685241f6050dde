"""The order of a whole run, written once: the flow hands it tasks, the library plain functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline import outcome
from onnxproof.pipeline.plan import Plan, prepare_for
from onnxproof.pipeline.search import search_candidates
from onnxproof.pipeline.workspace import discard_work
from onnxproof.proof.local import find_local
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    CheckResult,
    Comparison,
    Divergence,
    ExportOutcome,
    Loaded,
    MeasuredElsewhere,
    Proof,
    Registration,
    SearchResult,
    Simplifier,
    Work,
)
from onnxproof.spec import Elsewhere, Gates, Spec, Strategy
from onnxproof.tracking import import_ahead


@dataclass(frozen=True, slots=True)
class Stages:
    """What a run calls, in this order; each raises its own OnnxproofError."""

    look_up: Callable[[str, str], Registration | None]
    load: Callable[[Spec, Work], Loaded]
    export: Callable[[Spec, Work, Loaded, Strategy, str], Candidate]
    simplify: Callable[[Spec, Work, Loaded, Candidate, Simplifier], Candidate]
    check: Callable[[Spec, Work, Loaded, Candidate], CheckResult]
    localize: Callable[[Spec, Work, Loaded, Candidate, CheckResult, Candidate | None], Divergence]
    benchmark: Callable[[Spec, Work, tuple[Candidate, ...]], BenchmarkResult]
    conclude: Callable[[Spec, Work, str, Loaded, SearchResult], Proof]
    register: Callable[[Proof, Path], Registration]
    measure_elsewhere: Callable[[Elsewhere, Registration, Gates], MeasuredElsewhere]
    comparison: Callable[[Spec, Work, Registration, tuple[MeasuredElsewhere, ...]], Comparison]
    promote: Callable[[Registration, Literal["auto", "never"], Comparison | None], Registration]


def run_chain(plan: Plan, stages: Stages, *, force: bool) -> ExportOutcome:
    """From a plan to a registered version; nothing is proven twice unless ``force`` asks for it.

    Raises:
        OnnxproofError: Of the stage that broke or said no.
    """
    if not force and plan.key is not None and (ended := _known(plan, stages, plan.key)):
        return ended
    prepare_for(plan.spec, plan.roots, plan.settings.allow, local_code=plan.local_code)
    import_ahead()
    with plan.working() as work:
        loaded = stages.load(plan.spec, work)
        key = plan.key_of(loaded)
        if not force and plan.key is None and (ended := _known(plan, stages, key)):
            discard_work(work)
            return ended
        proof = prove(plan.spec, work, key, loaded, stages)
        return _registered(plan, stages, proof, Path(work.folder))


def prove(spec: Spec, work: Work, key: str, loaded: Loaded, stages: Stages) -> Proof:
    """The proof of the candidate that stands; nothing is registered.

    Raises:
        StageError: No strategy gave a graph, or a stage did not finish.
        ProofRefused: No candidate was proven.
    """
    search = search_candidates(spec, _Rungs(spec, work, loaded, stages))
    return stages.conclude(spec, work, key, loaded, search)


@dataclass(frozen=True, slots=True)
class _Rungs:
    """The stages that the search calls, for one model."""

    spec: Spec
    work: Work
    loaded: Loaded
    stages: Stages

    def export(self, strategy: Strategy, variant: str) -> Candidate:
        return self.stages.export(self.spec, self.work, self.loaded, strategy, variant)

    def simplify(self, candidate: Candidate, simplifier: Simplifier) -> Candidate:
        return self.stages.simplify(self.spec, self.work, self.loaded, candidate, simplifier)

    def check(self, candidate: Candidate) -> CheckResult:
        return self.stages.check(self.spec, self.work, self.loaded, candidate)

    def localize(
        self, candidate: Candidate, check: CheckResult, plain: Candidate | None
    ) -> Divergence:
        return self.stages.localize(self.spec, self.work, self.loaded, candidate, check, plain)

    def benchmark(self, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        return self.stages.benchmark(self.spec, self.work, candidates)


def _known(plan: Plan, stages: Stages, key: str) -> ExportOutcome | None:
    """The end of a run that has nothing to prove; None when it has.

    A version with this key is unchanged, and a promotion cut short is made up for. A proof that
    this machine has and no registry, since MLflow was away at its end, is registered now.
    """
    if (found := stages.look_up(plan.spec.name, key)) is not None:
        registration, comparison = _promoted(plan, stages, found, new=False)
        return outcome.tried(outcome.unchanged(key, registration, plan.settings.home), comparison)
    if (local := find_local(plan.settings.home, plan.spec.name, key)) is not None:
        folder, proof = local
        prepare_children()
        return _registered(plan, stages, proof, folder)
    return None


def _registered(plan: Plan, stages: Stages, proof: Proof, folder: Path) -> ExportOutcome:
    registration, comparison = _promoted(plan, stages, stages.register(proof, folder), new=True)
    return outcome.tried(outcome.proven(proof, registration, folder), comparison)


def _promoted(
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
        comparison = stages.comparison(spec, work, registration, elsewhere)
    return stages.promote(
        registration, "never" if comparison.against else "auto", comparison
    ), comparison
