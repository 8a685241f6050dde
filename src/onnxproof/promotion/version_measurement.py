"""Measure a registered version on this machine's providers, for whoever registered it elsewhere.

The machine has the registry and no source: PyTorch's answers travel with the version, and what it
is timed beside is the champion. So parity is held to the proof's own reference, with the tolerance
of each provider, and there is no PyTorch to be faster than.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from onnxproof.benchmark.head_to_head import HeadToHead
from onnxproof.benchmark.memory import Stored, memory_of
from onnxproof.benchmark.repetitions import Workload
from onnxproof.check.providers import check_provider
from onnxproof.errors import BenchmarkError, CheckError, RegisterError
from onnxproof.gates import promotion
from onnxproof.isolation.child import prepare_children, run_in_child
from onnxproof.progress import say
from onnxproof.promotion.champion_comparison import VersionPair, find_pair, time_pair, verdicts
from onnxproof.records import (
    GateVerdict,
    MeasuredElsewhere,
    Proof,
    ProviderCheck,
    Registration,
    Run,
    VersionMeasurement,
    Work,
)
from onnxproof.report.latency_plot import curves, save_png
from onnxproof.spec import Elsewhere, Gates, Provider, Spec
from onnxproof.usercode.libraries import find_libraries

GATES: Final = (
    *(gate.name for gate in promotion.GATES if gate.looks_at_runs),
    promotion.MEASUREMENT,
)
"""Those that look at what was run; the others have been asked where the version was proven."""


def measure_version(
    proof: Proof,
    registration: Registration,
    providers: Sequence[Provider],
    gates: Gates | None,
    work: Work,
    *,
    alone: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> VersionMeasurement:
    """Parity of a registered version on each provider, and its latency beside the champion's.

    Args:
        proof: The one that the version carries; all that is not given here is of its spec.
        registration: The version.
        providers: Of this machine.
        gates: Instead of the spec's.
        work: Takes what is fetched, ``benchmark.parquet`` and ``latency.png``.
        alone: What is timed is timed inside of it.

    Raises:
        BenchmarkError: A required provider is not there.
        StageError: What was to be run could not be.
        RegisterError: What MLflow gives back is not the proven file.
        ServerUnreachable: MLflow does not answer.
    """
    start = time.monotonic()
    say("measure", f"fetch {registration.model_uri}")
    spec = _spec_here(proof.spec, providers, gates)
    pair = find_pair(spec, work, registration)
    prepare_children()
    with alone():
        checks = _check(spec, work, pair)
        head_to_head = time_pair(spec, work, pair, profiled=True)
        stored = {
            label: Stored(fetched.model, fetched.proof.chosen.size_bytes)
            for label, fetched in pair.timed.items()
        }
        result = memory_of(head_to_head.result, Workload.of(spec), work, stored)
    folder = Path(work.folder)
    save_png(result, curves(result, folder), folder / "latency.png")
    return VersionMeasurement(
        model_uri=registration.model_uri,
        champion=pair.registered_champion.version if pair.registered_champion else "",
        checks=checks,
        benchmark=result,
        gates=tuple(gates_of(spec, pair, head_to_head, checks)),
        repetitions=head_to_head.repetitions,
        seconds=time.monotonic() - start,
    )


def not_measured(asked: Elsewhere, reason: str) -> MeasuredElsewhere:
    """The entry is skipped, with the reason.

    Raises:
        BenchmarkError: One of its providers is required.
    """
    if asked.required:
        raise BenchmarkError(
            f"{asked.deployment} was asked to measure the version on "
            f"{', '.join(provider.name for provider in asked.providers)}, "
            f"which the spec requires: {reason}"
        )
    return MeasuredElsewhere(deployment=asked.deployment, outcome="skipped", reason=reason)


def measure_elsewhere(
    asked: Elsewhere, registration: Registration, gates: Gates
) -> MeasuredElsewhere:
    """Without Prefect nobody else can be asked.

    Raises:
        BenchmarkError: A provider of the entry is required.
    """
    del registration, gates
    return not_measured(
        asked,
        "only a Prefect server can ask another machine; run `onnxproof export` or the deployment "
        "with one, or set required: false",
    )


def check_version(
    proof: Proof, work: Work, folder: Path, providers: tuple[Provider, ...]
) -> tuple[ProviderCheck, ...]:
    """In the child: every saved sample of the version's ``folder``, on every provider.

    Raises:
        RegisterError: Model or samples are not those of the proof.
    """
    from onnxproof.proof.replay import same_bytes

    if not same_bytes(folder):
        raise RegisterError(
            f"what MLflow gives back of {proof.name}, in {folder.name}, is not what was proven; "
            "check the artifact store"
        )
    libraries = find_libraries(proof.spec.export.needs, work)
    run = Run(proof.spec, work.model_copy(update={"folder": str(folder)}), proof.loaded)
    return tuple(check_provider(run, proof.chosen, provider, libraries) for provider in providers)


def _spec_here(spec: Spec, providers: Sequence[Provider], gates: Gates | None) -> Spec:
    benchmark = spec.benchmark.model_copy(
        update={"providers": tuple(providers), "elsewhere": (), "cpus": None}
    )
    return spec.model_copy(update={"benchmark": benchmark, "gates": gates or spec.gates})


def _check(spec: Spec, work: Work, pair: VersionPair) -> tuple[ProviderCheck, ...]:
    challenger = pair.challenger
    return run_in_child(
        check_version,
        challenger.proof,
        work,
        challenger.folder,
        spec.benchmark.providers,
        failed=CheckError,
        limits=spec.limits,
        log=Path(work.path("logs", "check.log")),
        doing=f"run {spec.name} on what its proof has",
    )


def gates_of(
    spec: Spec, pair: VersionPair, head_to_head: HeadToHead, checks: Sequence[ProviderCheck]
) -> Iterator[GateVerdict]:
    """Parity on each provider, and the gates that look at what was run here."""
    for provider_check in checks:
        if provider_check.verdict.outcome != "skipped":
            outcome = "passed" if provider_check.verdict.outcome == "passed" else "failed"
            yield GateVerdict(
                name=provider_check.verdict.name,
                outcome=outcome,
                reason=provider_check.verdict.reason,
            )
    check = pair.challenger.proof.check.model_copy(update={"providers": tuple(checks)})
    proof = pair.challenger.proof.model_copy(update={"check": check})
    seen = pair._replace(challenger=pair.challenger._replace(proof=proof))
    yield from (verdict for verdict in verdicts(spec, seen, head_to_head) if verdict.name in GATES)
