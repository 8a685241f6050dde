"""The gate: is this file a valid graph, with the declared contract, that says what PyTorch says?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.check.parity import check_parity
from onnxproof.errors import CheckError, LoadError, SourceError, one_line
from onnxproof.isolation.child import run_in_child
from onnxproof.records import (
    Candidate,
    CheckResult,
    EdgeCheck,
    Metric,
    OutputParity,
    ProviderCheck,
    Run,
    Verdict,
    WeightMatch,
)
from onnxproof.samples.sample_files import read_set
from onnxproof.usercode.libraries import find_libraries
from onnxproof.usercode.source_lines import without_folders

if TYPE_CHECKING:
    from onnxproof.runtime import Session

VERDICTS = (
    "bytes", "structure", "contract", "weights", "session", "parity", "edges", "parity_unoptimized",
)  # fmt: skip
"""In this order, with ``metric`` after ``parity``; after a failure the rest is ``not_reached``.
Of a graph with float16 results ``parity_float16`` comes last.

Both parities are asked for, also when one failed: consumers run the optimized graph, and the other
tells whether the graph or one of ONNX Runtime's rewrites is wrong.
"""


def check_candidate(run: Run, candidate: Candidate) -> CheckResult:
    """Verdicts on the candidate's file. A failed verdict is a result; the caller decides.

    Raises:
        CheckError: The check broke, crashed, hung or ate the memory, so nothing is known.
    """
    return run_in_child(
        check_in_child,
        run,
        candidate,
        failed=CheckError,
        limits=run.spec.limits,
        log=Path(run.work.path("logs", f"check-{candidate.label}.log")),
        doing=f"check {candidate.label} against PyTorch",
    )


def check_in_child(run: Run, candidate: Candidate) -> CheckResult:
    """In the child: ask each question until one is answered with no."""
    start = time.monotonic()
    checker = _Checker(run, candidate)
    verdicts = {verdict.name: verdict for verdict in checker.verdicts()}
    failed = next(
        (verdict.name for verdict in verdicts.values() if verdict.outcome != "passed"), ""
    )
    wanted = [*VERDICTS[:-1], *(["metric"] if run.spec.dataset else []), VERDICTS[-1]]
    for name in wanted:
        verdicts.setdefault(
            name, Verdict(name=name, outcome="not_reached", reason=f"{failed} failed first")
        )
    return CheckResult(
        candidate=candidate.label,
        sha256=candidate.model.sha256,
        weights_sha256=weights.sha256 if (weights := candidate.weights) else None,
        verdicts=tuple(verdicts[name] for name in (*wanted, *sorted(set(verdicts) - set(wanted)))),
        weight_match=checker.weight_match,
        parity=checker.parity,
        edges=checker.edges,
        metric=checker.metric,
        kernels=checker.kernels,
        providers=checker.providers,
        seconds=time.monotonic() - start,
    )


class _Checker:
    def __init__(self, run: Run, candidate: Candidate) -> None:
        self.run, self.spec, self.work, self.loaded = run, run.spec, run.work, run.loaded
        self.candidate = candidate
        self.path = Path(self.work.path(self.candidate.model.path))
        self.weight_match: WeightMatch | None = None
        self.parity: tuple[OutputParity, ...] = ()
        self.edges: tuple[EdgeCheck, ...] = ()
        self.metric: Metric | None = None
        self.kernels: dict[str, int] = {}
        self.providers: tuple[ProviderCheck, ...] = ()

    def verdicts(self) -> Iterator[Verdict]:
        for ask in (self._bytes, self._structure, self._contract, self._weights):
            yield (verdict := ask())
            if verdict.outcome != "passed":
                return
        yield from self._answers()

    def _answers(self) -> Iterator[Verdict]:
        session, verdict = self._open("session")
        yield verdict
        if session is None:
            return
        self.kernels = self._kernels(session)
        verdict, self.parity = self._parity(session, optimized=True)
        yield verdict
        if verdict.outcome == "passed":
            yield self._edges(session)
            if self.spec.dataset is not None:
                yield self._metric(session)
        del session  # before there is another with the same weights
        session, verdict = self._open("parity_unoptimized")
        verdict = self._parity(session, optimized=False)[0] if session else verdict
        del session
        yield verdict
        if verdict.outcome != "passed":
            return
        yield from self._overflowing()
        self.providers = self._elsewhere()

    def _bytes(self) -> Verdict:
        for file in self.candidate.files:
            if not file.unchanged(self.work.folder):
                reason = f"{file.path} is gone or was changed since it was written"
                return Verdict(name="bytes", outcome="failed", reason=reason)
        return Verdict(name="bytes", outcome="passed", reason="the file is the one exported")

    def _structure(self) -> Verdict:
        from onnxproof.check.structure import check_structure

        return check_structure(self.spec, self.work, self.loaded, self.candidate)

    def _error_text(self, error: Exception) -> str:
        """Without the folders of this machine: the proof travels."""
        return without_folders(one_line(error, 400), self.work.roots)

    def _contract(self) -> Verdict:
        import onnx

        from onnxproof.check.contract import check_contract

        model = onnx.load(self.path, load_external_data=False)
        return check_contract(model.graph, self.loaded.reference)

    def _weights(self) -> Verdict:
        from onnxproof.check.weights import check_weights

        verdict, self.weight_match = check_weights(self.work, self.candidate)
        return verdict

    def _open(self, name: str) -> tuple[Session | None, Verdict]:
        from onnxproof.runtime import Profiling, open_session

        libraries, consumed = find_libraries(self.spec.export.needs, self.work), name == "session"
        try:
            session = open_session(
                self.path,
                libraries=libraries,
                optimization="all" if consumed else "disabled",
                profile=Profiling(Path(self.work.folder)) if consumed else None,
            )
        except (SourceError, LoadError):
            raise
        except Exception as error:
            reason = f"ONNX Runtime does not load it: {self._error_text(error)}"
            return None, Verdict(name=name, outcome="failed", reason=reason)
        return session, Verdict(name=name, outcome="passed", reason="loads in ONNX Runtime")

    def _parity(
        self, session: Session, *, optimized: bool
    ) -> tuple[Verdict, tuple[OutputParity, ...]]:
        reference = self.loaded.reference
        return check_parity(self.spec, self.work, session, reference, optimized=optimized)

    def _edges(self, session: Session) -> Verdict:
        from onnxproof.check.edges import check_edges

        verdict, self.edges = check_edges(self.work, session, self.loaded.reference, self.parity)
        return verdict

    def _overflowing(self) -> Iterator[Verdict]:
        """Of a graph that computes in float16: as a GPU computes it, infinite beyond 65504."""
        from onnxproof.check.float16 import open_overflowing
        from onnxproof.check.parity import check_overflow

        libraries = find_libraries(self.spec.export.needs, self.work)
        with open_overflowing(self.work, self.candidate, libraries) as session:
            if session is not None:
                yield check_overflow(self.spec, self.work, session, self.loaded.reference)

    def _elsewhere(self) -> tuple[ProviderCheck, ...]:
        from onnxproof.check.providers import check_providers

        libraries = find_libraries(self.spec.export.needs, self.work)
        return check_providers(self.run, self.candidate, libraries)

    def _kernels(self, session: Session) -> dict[str, int]:
        """Of the cheapest sample; a run that fails has none, and parity will say why."""
        reference = self.loaded.reference
        first = next(point.sets[0] for point in reference.points if point.sets)
        feed, _ = read_set(Path(self.work.path(reference.folder, first)))
        try:
            return session.kernels_of_a_run(feed)
        except Exception:  # ONNX Runtime's classes have no common base
            return {}

    def _metric(self, session: Session) -> Verdict:
        from onnxproof.check.metric import check_metric

        verdict, self.metric = check_metric(self.run, session)
        return verdict
