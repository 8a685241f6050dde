"""What takes part in a benchmark: PyTorch, and every candidate on every execution provider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from onnxproof.inputs import Feed
from onnxproof.records import Candidate, Verdict, Work
from onnxproof.spec import BenchmarkSpec

EAGER: Final = "pytorch eager"


class Contender(NamedTuple):
    """Something to time: given a feed, ``prepare`` gives a call without arguments."""

    label: str
    provider: str
    prepare: Callable[[Feed], Callable[[], object]]


def open_all(
    benchmark: BenchmarkSpec, work: Work, candidates: Sequence[Candidate]
) -> tuple[list[Contender], list[Verdict]]:
    """Every candidate on every provider, and why a provider takes no part.

    Raises:
        Exception: Of a required provider: ours, or one of the provider's own.
    """
    from onnxproof.libraries import noted_libraries
    from onnxproof.runtime import open_session

    contenders: list[Contender] = []
    skipped: list[Verdict] = []
    for provider in benchmark.providers:
        opened = []
        try:
            for candidate in candidates:
                session = open_session(
                    Path(work.path(candidate.model.path)),
                    provider.name,
                    options=provider.options,
                    threads=benchmark.threads,
                    libraries=noted_libraries(work.folder),
                )
                opened.append(Contender(candidate.label, provider.name, session.prepare))
        except Exception as error:  # ours, or one of the provider's own
            if provider.required:
                raise
            skipped.append(Verdict(name=provider.name, outcome="skipped", reason=str(error)))
        else:
            contenders += opened
    return contenders, skipped
