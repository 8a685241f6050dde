"""The trial of a proven version: beside the champion, both as the registry has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.head_to_head import Duel, DuelRequest, fight
from onnxproof.benchmark.repetitions import Course
from onnxproof.errors import BadInput, RegisterError, TrialError
from onnxproof.gates.promotion import Measured, judge
from onnxproof.isolation.child import prepare_children, run_in_child
from onnxproof.isolation.machine_lock import alone_on_this_machine
from onnxproof.progress import say
from onnxproof.proof.local import find_local
from onnxproof.records import GateVerdict, MeasuredElsewhere, Proof, Registration, Trial, Work
from onnxproof.settings import read_settings
from onnxproof.spec import Spec
from onnxproof.tracking import describe, download, find_champion


class Entrant(NamedTuple):
    """A registered version, with its files on this machine."""

    version: str
    folder: Path
    proof: Proof

    @property
    def model(self) -> Path:
        """Its ONNX file."""
        return self.folder / self.proof.chosen.model.path


class Match(NamedTuple):
    """A registered version, and who holds the alias that it may get."""

    challenger: Entrant
    opponent: Registration | None
    champion: Entrant | None  # None where its files cannot be run
    why_not: str  # of a champion that the version cannot be timed beside
    broken: bool  # whether that is a fault, and not the way things are

    @property
    def same_file(self) -> bool:
        """Whether both are one file, so that there is nothing to time."""
        return self.champion is not None and _files(self.challenger) == _files(self.champion)

    @property
    def rival(self) -> Entrant | None:
        """The champion, where the two can be timed and differ."""
        return None if self.why_not or self.same_file else self.champion

    @property
    def entrants(self) -> dict[str, Entrant]:
        """Who is timed, the version first, by what they are called then."""
        found = [entrant for entrant in (self.challenger, self.rival) if entrant is not None]
        return {f"version {entrant.version}": entrant for entrant in found}


def hold_trial(
    spec: Spec,
    work: Work,
    registration: Registration,
    elsewhere: tuple[MeasuredElsewhere, ...] = (),
    *,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Trial:
    """What the gates of ``spec`` say of a registered version beside today's champion.

    The rest of the spec is the version's own, so that the same numbers come out of a later trial;
    nothing is run where no gate asks for it. What is run is run inside of ``alone``. What other
    machines found, ``elsewhere``, has verdicts of its own.

    Raises:
        TrialError: The two could not be run.
        RegisterError: The version's own files are not those of its proof.
        ServerUnreachable: MLflow does not answer.
    """
    start = time.monotonic()
    say("trial", f"gates of {registration.name} version {registration.version}")
    match, duel = find_match(spec, work, registration), None
    if match.rival is not None or spec.gates.max_p99_ms is not None:
        with alone():
            duel = fight_in_child(spec, work, match)
    return Trial(
        challenger=registration.version,
        champion=match.opponent.version if match.opponent else "",
        gates=(*verdicts(spec, match, duel), *verdicts_of(elsewhere)),
        latencies=duel.result.latencies if duel else (),
        ratios=duel.result.ratios if duel else (),
        sittings=duel.sittings if duel else 0,
        elsewhere=elsewhere,
        seconds=time.monotonic() - start,
        inconclusive=spec.gates.inconclusive,
    )


def find_match(spec: Spec, work: Work, registration: Registration) -> Match:
    """The version and today's champion, with the files of both below ``work`` where need be.

    Raises:
        RegisterError: The version's own files are not those of its proof.
        ServerUnreachable: MLflow does not answer.
    """
    challenger = _entrant(registration, work)
    opponent = find_champion(registration)
    champion, why_not, broken = _opponent(opponent, work)
    if champion is not None:
        why_not = _incomparable(challenger.proof, champion.proof, spec)
    return Match(challenger, opponent, champion, why_not, broken)


def verdicts(spec: Spec, match: Match, duel: Duel | None) -> tuple[GateVerdict, ...]:
    """Every gate of ``spec``, over what was timed."""
    measured = Measured(
        ratios=duel.result.ratios if duel else (),
        samples_ms=duel.samples_ms if duel else {},
        suspicions=duel.result.suspicions if duel else (),
        why_not=match.why_not,
        broken=match.broken,
        same_file=match.same_file,
    )
    champion = match.champion.proof if match.champion else None
    return judge(spec.gates, match.challenger.proof, champion, measured)


def verdicts_of(elsewhere: Iterable[MeasuredElsewhere]) -> Iterator[GateVerdict]:
    """Those of other machines, each with the deployment in its name."""
    for measured in elsewhere:
        for gate in measured.measurement.gates if measured.measurement else ():
            yield gate.model_copy(update={"name": f"{gate.name} on {measured.deployment}"})


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
            [(record.name, record.dtype) for record in getattr(proof.loaded.reference, kind)]
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


def fight_in_child(spec: Spec, work: Work, match: Match, *, profiled: bool = False) -> Duel:
    """Time the version beside its rival, or by itself where it has none.

    Raises:
        TrialError: They could not be run.
    """
    models = {label: entrant.model for label, entrant in match.entrants.items()}
    prepare_children()
    with alone_on_this_machine(lambda: say("trial", "wait for another benchmark to end")):
        return run_in_child(
            fight,
            DuelRequest(Course.of(spec), work, models, spec.gates, spec.export.needs, profiled),
            failed=TrialError,
            limits=spec.limits,
            log=Path(work.path("logs", "trial.log")),
            doing=f"time {' and '.join(models)} of {spec.name}",
        )
