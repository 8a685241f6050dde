"""The trial of a proven version: beside the champion, both as the registry has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.duel import Duel, DuelRequest, fight
from onnxproof.benchmark.exclusive import alone_on_this_machine
from onnxproof.benchmark.sittings import Course
from onnxproof.child import prepare_children, run_in_child
from onnxproof.errors import BadInput, RegisterError, TrialError
from onnxproof.gates import Measured, judge
from onnxproof.plan import find_local
from onnxproof.progress import say
from onnxproof.records import Proof, Registration, Trial, Work
from onnxproof.settings import read_settings
from onnxproof.spec import Spec
from onnxproof.tracking import describe, download, find_champion


class Entrant(NamedTuple):
    """A registered version, with its files on this machine."""

    version: str
    folder: Path
    proof: Proof


def hold_trial(
    spec: Spec,
    work: Work,
    registration: Registration,
    *,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Trial:
    """What the gates of ``spec`` say of a registered version beside today's champion.

    The rest of the spec is the version's own, so that the same numbers come out of a later trial;
    nothing is run where no gate asks for it. What is run is run inside of ``alone``.

    Raises:
        TrialError: The two could not be run.
        RegisterError: The version's own files are not those of its proof.
        ServerUnreachable: MLflow does not answer.
    """
    start = time.monotonic()
    say("trial", f"gates of {registration.name} version {registration.version}")
    challenger = _entrant(registration, work)
    opponent = find_champion(registration)
    champion, why, broken = _opponent(opponent, work)
    same = champion is not None and _files(challenger) == _files(champion)
    if champion is not None:
        why = _incomparable(challenger.proof, champion.proof, spec)
    duel = None
    rival = champion if champion is not None and not why and not same else None
    if rival is not None or spec.gates.max_p99_ms is not None:
        with alone():
            duel = _duel(spec, work, challenger, rival)
    measured = Measured(
        ratios=duel.result.ratios if duel else (),
        samples_ms=duel.samples_ms if duel else {},
        suspicions=duel.result.suspicions if duel else (),
        why_not=why,
        broken=broken,
        same_file=same,
    )
    return Trial(
        challenger=registration.version,
        champion=opponent.version if opponent else "",
        gates=judge(spec.gates, challenger.proof, champion.proof if champion else None, measured),
        latencies=duel.result.latencies if duel else (),
        ratios=measured.ratios,
        sittings=duel.sittings if duel else 0,
        seconds=time.monotonic() - start,
        inconclusive=spec.gates.inconclusive,
    )


def _entrant(registration: Registration, work: Work) -> Entrant:
    """The version's files: of this machine where they are its own, else the registry's."""
    proof, _ = describe(registration.model_uri)
    local = find_local(read_settings().home, registration.name, proof.proof_key)
    if local is not None:
        return Entrant(registration.version, *local)
    folder = download(registration.model_uri, Path(work.path("registry", registration.version)))
    for file in proof.chosen.files:
        if not file.unchanged(folder):
            raise RegisterError(
                f"the {file.path} that MLflow gives back for {registration.model_uri} is not the "
                "proven file; check the artifact store"
            )
    return Entrant(registration.version, folder, proof)


def _files(entrant: Entrant) -> list[str]:
    return [file.sha256 for file in entrant.proof.chosen.files]


def _opponent(opponent: Registration | None, work: Work) -> tuple[Entrant | None, str, bool]:
    """The champion, or why there is none to compare with, and whether that is a fault."""
    if opponent is None:
        return None, "there is no other champion", False
    try:
        return _entrant(opponent, work), "", False
    except (BadInput, RegisterError) as error:
        return None, f"the champion, {opponent.model_uri}, cannot be run: {error}", True


def _incomparable(challenger: Proof, champion: Proof, spec: Spec) -> str:
    """Why the two cannot be given the same inputs; empty where they can."""
    for kind in ("inputs", "outputs"):
        mine, other = (
            [(each.name, each.dtype) for each in getattr(proof.loaded.reference, kind)]
            for proof in (challenger, champion)
        )
        if mine != other:
            return f"the champion has the {kind} {other}, this version {mine}"
    for point in spec.benchmark.at:
        for name, size in point.items():
            dim = champion.spec.dims.get(name)
            if dim is not None and not dim.holds(size):
                return f"the champion does not take {name}={size}, where benchmark.at looks"
    return ""


def _duel(spec: Spec, work: Work, challenger: Entrant, champion: Entrant | None) -> Duel:
    entrants = [each for each in (challenger, champion) if each is not None]
    models = {f"version {each.version}": each.folder / "model.onnx" for each in entrants}
    prepare_children()
    with alone_on_this_machine(lambda: say("trial", "wait for another benchmark to end")):
        return run_in_child(
            fight,
            DuelRequest(Course.of(spec), work, models, spec.gates, spec.export.needs),
            failed=TrialError,
            limits=spec.limits,
            log=Path(work.path("logs", "trial.log")),
            doing=f"time {' and '.join(models)} of {spec.name}",
        )
