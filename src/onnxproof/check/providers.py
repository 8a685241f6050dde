"""Does the graph say what PyTorch said on every execution provider that the spec names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxproof.check.parity import covered, parity_verdict
from onnxproof.errors import OnnxproofError, one_line
from onnxproof.records import Candidate, Outcome, ProviderCheck, Run, Verdict
from onnxproof.runtime import Profiling, open_session, precision_of
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import CPU, Provider, Spec
from onnxproof.usercode.libraries import find_plugin


def providers_besides(spec: Spec) -> Iterator[Provider]:
    """Of ``benchmark.providers``, those that the check's own sessions do not stand for."""
    return (
        provider
        for provider in spec.benchmark.providers
        if provider.name != CPU or provider.options
    )


def check_providers(
    run: Run, candidate: Candidate, libraries: Sequence[str]
) -> tuple[ProviderCheck, ...]:
    """Parity over every sample on each provider, with the tolerance that its precision needs.

    A provider that is not here, or did not start, is skipped.

    Raises:
        BenchmarkError: It is required.
        SourceError: It is required, and what names the library of a plug-in gives none.
    """
    return tuple(
        check_provider(run, candidate, provider, libraries)
        for provider in providers_besides(run.spec)
    )


def check_provider(
    run: Run, candidate: Candidate, provider: Provider, libraries: Sequence[str]
) -> ProviderCheck:
    """Parity over every sample on one provider, as ``check_providers`` has it."""
    name, work, reference = f"parity on {provider.name}", run.work, run.loaded.reference
    precision = precision_of(provider.name, provider.options)
    try:
        session = open_session(
            Path(work.path(candidate.model.path)),
            provider.name,
            options=provider.options,
            plugin=find_plugin(provider, work),
            libraries=libraries,
            profile=Profiling(Path(work.folder)),
        )
    except OnnxproofError as error:  # there is no such provider here, or no such plug-in
        if provider.required:
            raise
        verdict = Verdict(name=name, outcome="skipped", reason=str(error))
        return ProviderCheck(provider=provider.name, precision=precision, verdict=verdict)
    except Exception as error:  # the provider's own, which have no common base
        reason = f"{provider.name} does not load it: {one_line(error, 400)}"
        outcome: Outcome = "failed" if provider.required else "skipped"
        verdict = Verdict(name=name, outcome=outcome, reason=reason)
        return ProviderCheck(provider=provider.name, precision=precision, verdict=verdict)
    sets = [set_name for point in covered(reference) for set_name in point.sets]
    verdict, parity = parity_verdict(name, run.spec, work, session, reference, sets, provider)
    feed, _ = read_set(Path(work.path(reference.folder, sets[0])))
    placement = session.placement(feed if verdict.outcome == "passed" else None)
    return ProviderCheck(
        provider=provider.name,
        precision=precision,
        verdict=verdict,
        parity=parity,
        placement=placement,
    )
