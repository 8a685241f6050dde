"""A proven version beside the champion, both as the registry has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from onnxproof.benchmark.head_to_head import HeadToHead, HeadToHeadRequest, compare_models
from onnxproof.benchmark.repetitions import Workload
from onnxproof.errors import BadInput, ComparisonError, RegisterError
from onnxproof.gates.promotion import Measured, gate_verdicts
from onnxproof.isolation.child import prepare_children, run_in_child
from onnxproof.isolation.machine_lock import alone_on_this_machine
from onnxproof.progress import say
from onnxproof.proof.local import find_local
from onnxproof.records import Comparison, GateVerdict, MeasuredElsewhere, Proof, Registration, Work
from onnxproof.settings import read_settings
from onnxproof.spec import Spec
from onnxproof.tracking import describe, download, find_champion


class FetchedVersion(NamedTuple):
    """A registered version, with its files on this machine."""

    version: str
    folder: Path
    proof: Proof

    @property
    def model(self) -> Path:
        """Its ONNX file."""
        return self.folder / self.proof.chosen.model.path


class VersionPair(NamedTuple):
    """A registered version, and who holds the alias that it may get."""

    challenger: FetchedVersion
    registered_champion: Registration | None
    champion: FetchedVersion | None  # None where its files cannot be run
    why_not: str  # of a champion that the version cannot be timed beside
    broken: bool  # whether that is a fault, and not the way things are

    @property
    def same_file(self) -> bool:
        """Whether both are one file, so that there is nothing to time."""
        return self.champion is not None and _files(self.challenger) == _files(self.champion)

    @property
    def timed_champion(self) -> FetchedVersion | None:
        """The champion, where the two can be timed and differ."""
        return None if self.why_not or self.same_file else self.champion

    @property
    def timed(self) -> dict[str, FetchedVersion]:
        """Who is timed, the version first, by what they are called then."""
        found = [
            fetched for fetched in (self.challenger, self.timed_champion) if fetched is not None
        ]
        return {f"version {fetched.version}": fetched for fetched in found}


def compare_with_champion(
    spec: Spec,
    work: Work,
    registration: Registration,
    elsewhere: tuple[MeasuredElsewhere, ...] = (),
    *,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Comparison:
    """What the gates of ``spec`` say of a registered version beside today's champion.

    The rest of the spec is the version's own, so that a later comparison gives the same numbers;
    nothing is run where no gate asks for it. What is run is run inside of ``alone``. What other
    machines found, ``elsewhere``, has verdicts of its own.

    Raises:
        ComparisonError: The two could not be run.
        RegisterError: The version's own files are not those of its proof.
        ServerUnreachable: MLflow does not answer.
    """
    start = time.monotonic()
    say("compare", f"gates of {registration.name} version {registration.version}")
    pair, head_to_head = find_pair(spec, work, registration), None
    if pair.timed_champion is not None or spec.gates.max_p99_ms is not None:
        with alone():
            head_to_head = time_pair(spec, work, pair)
    return Comparison(
        challenger=registration.version,
        champion=pair.registered_champion.version if pair.registered_champion else "",
        gates=(*verdicts(spec, pair, head_to_head), *verdicts_of(elsewhere)),
        latencies=head_to_head.result.latencies if head_to_head else (),
        ratios=head_to_head.result.ratios if head_to_head else (),
        repetitions=head_to_head.repetitions if head_to_head else 0,
        elsewhere=elsewhere,
        seconds=time.monotonic() - start,
        inconclusive=spec.gates.inconclusive,
    )


def find_pair(spec: Spec, work: Work, registration: Registration) -> VersionPair:
    """The version and today's champion, with the files of both below ``work`` where need be.

    Raises:
        RegisterError: The version's own files are not those of its proof.
        ServerUnreachable: MLflow does not answer.
    """
    challenger = _fetch_version(registration, work)
    registered_champion = find_champion(registration)
    champion, why_not, broken = _fetch_champion(registered_champion, work)
    if champion is not None:
        why_not = _incomparable(challenger.proof, champion.proof, spec)
    return VersionPair(challenger, registered_champion, champion, why_not, broken)


def verdicts(
    spec: Spec, pair: VersionPair, head_to_head: HeadToHead | None
) -> tuple[GateVerdict, ...]:
    """Every gate of ``spec``, over what was timed."""
    measured = Measured(
        ratios=head_to_head.result.ratios if head_to_head else (),
        samples_ms=head_to_head.samples_ms if head_to_head else {},
        quality_warnings=head_to_head.result.quality_warnings if head_to_head else (),
        why_not=pair.why_not,
        broken=pair.broken,
        same_file=pair.same_file,
    )
    champion = pair.champion.proof if pair.champion else None
    return gate_verdicts(spec.gates, pair.challenger.proof, champion, measured)


def verdicts_of(elsewhere: Iterable[MeasuredElsewhere]) -> Iterator[GateVerdict]:
    """Those of other machines, each with the deployment in its name."""
    for measured in elsewhere:
        for gate in measured.measurement.gates if measured.measurement else ():
            yield gate.model_copy(update={"name": f"{gate.name} on {measured.deployment}"})


def _fetch_version(registration: Registration, work: Work) -> FetchedVersion:
    """The version's files: of this machine where they are its own, else the registry's."""
    proof, _ = describe(registration.model_uri)
    local = find_local(read_settings().home, registration.name, proof.proof_key)
    if local is not None:
        return FetchedVersion(registration.version, *local)
    folder = download(registration.model_uri, Path(work.path("registry", registration.version)))
    for file in proof.chosen.files:
        if not file.unchanged(folder):
            raise RegisterError(
                f"the {file.path} that MLflow gives back for {registration.model_uri} is not the "
                "proven file; check the artifact store"
            )
    return FetchedVersion(registration.version, folder, proof)


def _files(fetched: FetchedVersion) -> list[str]:
    return [file.sha256 for file in fetched.proof.chosen.files]


def _fetch_champion(
    registered_champion: Registration | None, work: Work
) -> tuple[FetchedVersion | None, str, bool]:
    """The champion, or why there is none to compare with, and whether that is a fault."""
    if registered_champion is None:
        return None, "there is no other champion", False
    try:
        return _fetch_version(registered_champion, work), "", False
    except (BadInput, RegisterError) as error:
        return None, f"the champion, {registered_champion.model_uri}, cannot be run: {error}", True


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


def time_pair(spec: Spec, work: Work, pair: VersionPair, *, profiled: bool = False) -> HeadToHead:
    """Time the version beside the champion, or by itself where there is none.

    Raises:
        ComparisonError: They could not be run.
    """
    models = {label: fetched.model for label, fetched in pair.timed.items()}
    prepare_children()
    with alone_on_this_machine(lambda: say("compare", "wait for another benchmark to end")):
        return run_in_child(
            compare_models,
            HeadToHeadRequest(
                Workload.of(spec), work, models, spec.gates, spec.export.needs, profiled
            ),
            failed=ComparisonError,
            limits=spec.limits,
            log=Path(work.path("logs", "comparison.log")),
            doing=f"time {' and '.join(models)} of {spec.name}",
        )
