"""The gate: is this file a valid graph, with the declared contract, that says what PyTorch says?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.agreement import check_parity
from onnxproof.child import run_in_child
from onnxproof.errors import CheckError, LoadError, SourceError, one_line
from onnxproof.libraries import find_libraries
from onnxproof.operators.places import without_folders
from onnxproof.records import (
    Candidate,
    CheckResult,
    Loaded,
    Metric,
    OutputParity,
    Verdict,
    Work,
)
from onnxproof.spec import Spec

if TYPE_CHECKING:
    from onnxproof.runtime import Session

VERDICTS = ("bytes", "structure", "contract", "session", "parity")
"""In this order; what comes after the first failure is ``not_reached``."""


class CheckRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    loaded: Loaded
    candidate: Candidate


def check_candidate(spec: Spec, work: Work, loaded: Loaded, candidate: Candidate) -> CheckResult:
    """Verdicts on the candidate's file. A failed verdict is a result; the caller decides.

    Raises:
        CheckError: The check broke, crashed, hung or ate the memory, so nothing is known.
    """
    return run_in_child(
        check_in_child,
        CheckRequest(spec, work, loaded, candidate),
        failed=CheckError,
        limits=spec.limits,
        log=Path(work.path("logs", f"check-{candidate.label}.log")),
        doing=f"check {candidate.label} against PyTorch",
    )


def check_in_child(request: CheckRequest) -> CheckResult:
    """In the child: ask each question until one is answered with no."""
    start = time.monotonic()
    checker = _Checker(request)
    verdicts: list[Verdict] = []
    for verdict in checker.verdicts():
        verdicts.append(verdict)
        if verdict.outcome != "passed":
            break
    wanted = (*VERDICTS, "metric") if request.spec.dataset else VERDICTS
    reason = f"{verdicts[-1].name} failed first"
    verdicts += [
        Verdict(name=name, outcome="not_reached", reason=reason) for name in wanted[len(verdicts) :]
    ]
    return CheckResult(
        candidate=request.candidate.label,
        sha256=request.candidate.model.sha256,
        weights_sha256=weights.sha256 if (weights := request.candidate.weights) else None,
        verdicts=tuple(verdicts),
        parity=checker.parity,
        metric=checker.metric,
        seconds=time.monotonic() - start,
    )


class _Checker:
    def __init__(self, request: CheckRequest) -> None:
        self.spec, self.work, self.loaded, self.candidate = request
        self.path = Path(self.work.path(self.candidate.model.path))
        self.parity: tuple[OutputParity, ...] = ()
        self.metric: Metric | None = None

    def verdicts(self) -> Iterator[Verdict]:
        yield self._bytes()
        yield self._structure()
        yield self._contract()
        try:
            session = self._open()
        except (SourceError, LoadError):
            raise
        except Exception as error:
            reason = f"ONNX Runtime does not load it: {self._told(error)}"
            yield Verdict(name="session", outcome="failed", reason=reason)
            return
        yield Verdict(name="session", outcome="passed", reason="loads in ONNX Runtime")
        yield self._parity(session)
        if self.spec.dataset is not None:
            yield self._metric(session)

    def _bytes(self) -> Verdict:
        for file in self.candidate.files:
            if not file.unchanged(self.work.folder):
                reason = f"{file.path} is gone or was changed since it was written"
                return Verdict(name="bytes", outcome="failed", reason=reason)
        return Verdict(name="bytes", outcome="passed", reason="the file is the one exported")

    def _structure(self) -> Verdict:
        from onnxproof.structure import check_structure

        return check_structure(self.spec, self.work, self.loaded, self.candidate)

    def _told(self, error: Exception) -> str:
        """Without the folders of this machine: the proof travels."""
        return without_folders(one_line(error, 400), self.work.roots)

    def _contract(self) -> Verdict:
        import onnx

        from onnxproof.contract import check_contract

        model = onnx.load(self.path, load_external_data=False)
        return check_contract(model.graph, self.loaded.reference)

    def _open(self) -> Session:
        from onnxproof.runtime import open_session

        return open_session(self.path, libraries=find_libraries(self.spec, self.work))

    def _parity(self, session: Session) -> Verdict:
        verdict, self.parity = check_parity(self.spec, self.work, session, self.loaded.reference)
        return verdict

    def _metric(self, session: Session) -> Verdict:
        from onnxproof.dataset import measure_metric

        before = self.loaded.reference.metric
        assert before is not None
        score, _ = measure_metric(self.spec, self.work, session.run)
        self.metric = before.model_copy(update={"onnx": score})
        drop, allowed = before.pytorch - score, self.spec.gates.max_metric_drop
        text = f"{before.name} {score:.4f}, PyTorch {before.pytorch:.4f}, over {before.rows} rows"
        if drop > allowed:
            reason = f"{text}: down by {drop:.4f}, gates.max_metric_drop = {allowed:g}"
            return Verdict(name="metric", outcome="failed", reason=reason)
        return Verdict(name="metric", outcome="passed", reason=text)
