"""The gate: is this file a valid graph, with the declared contract, that says what PyTorch says?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.child import run_in_child
from onnxproof.errors import CheckError, LoadError, SourceError, one_line
from onnxproof.inputs import Feed
from onnxproof.libraries import find_libraries
from onnxproof.operators.places import without_folders
from onnxproof.progress import say
from onnxproof.records import (
    Candidate,
    CheckResult,
    Loaded,
    Metric,
    OutputParity,
    Reference,
    Verdict,
    Work,
)
from onnxproof.spec import Spec

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.runtime import Session

VERDICTS = ("bytes", "structure", "contract", "session", "parity")
"""In this order; what comes after the first failure is ``not_reached``."""


class Disagreement(Exception):
    """The graph gives nothing that could be compared element by element."""


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
        import onnx

        try:
            onnx.checker.check_model(str(self.path), full_check=True)
        except Exception as error:  # the checker raises its own, and C++ exceptions as others
            reason = f"onnx.checker: {self._told(error)}"
            return Verdict(name="structure", outcome="failed", reason=reason)
        reason = "onnx.checker with full_check and shape inference"
        return Verdict(name="structure", outcome="passed", reason=reason)

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
        reference = self.loaded.reference
        try:
            self.parity = compare_all(self.spec, self.work, session, reference)
        except Disagreement as error:
            return Verdict(name="parity", outcome="failed", reason=str(error))
        points = sum(1 for point in reference.points if point.sets)
        if bad := [each for each in self.parity if each.mismatched]:
            worst = max(bad, key=lambda each: each.mismatched / each.elements)
            reason = (
                f"output {worst.name!r} differs by {worst.max_abs_diff:.3g} "
                f"(atol={worst.atol:.3g}, rtol={worst.rtol:.3g}) in {worst.worst_set} at index "
                f"{list(worst.worst_index)} ({_where(reference, worst.worst_set)}); "
                f"{worst.mismatched} of {worst.elements} elements fail, "
                f"{len(bad)} of {len(self.parity)} outputs"
            )
            return Verdict(name="parity", outcome="failed", reason=reason)
        left_out = len(reference.points) - points
        reason = f"{points} shapes, {self.parity[0].samples} samples within tolerance"
        if left_out:
            reason += f"; {left_out} shapes were beyond the budget"
        return Verdict(name="parity", outcome="passed", reason=reason)

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


def compare_all(
    spec: Spec, work: Work, session: Session, reference: Reference
) -> tuple[OutputParity, ...]:
    """Parity of every output over every saved sample.

    Raises:
        Disagreement: ONNX Runtime failed on a sample, or gave another dtype or shape.
    """
    from onnxproof.parity import compare, merge, tolerance_for

    sets = [name for point in reference.points for name in point.sets]
    saved = {name: read_set(Path(work.path(reference.folder, name))) for name in sets}
    tolerances = {
        each.name: tolerance_for(spec, each.name, [saved[name][1][each.name] for name in sets])
        for each in reference.outputs
    }
    parity: dict[str, OutputParity] = {}
    for number, name in enumerate(sets):
        say("check", f"ONNX Runtime on {name}", number, len(sets))
        feed, expected = saved[name]
        try:
            actual = session.run(feed)
        except Exception as error:  # ONNX Runtime's classes have no common base
            text = one_line(error, 400)
            raise Disagreement(
                f"ONNX Runtime failed on a reference input ({_where(reference, name)}): {text}"
            ) from error
        for output, wanted in expected.items():
            found = actual[output]
            if found.shape != wanted.shape or found.dtype != wanted.dtype:
                raise Disagreement(
                    f"output {output!r} is {found.dtype}{list(found.shape)}, "
                    f"PyTorch gives {wanted.dtype}{list(wanted.shape)} ({_where(reference, name)})"
                )
            row = compare(output, wanted, found, tolerances[output], name)
            parity[output] = merge(parity[output], row) if output in parity else row
    return tuple(parity.values())


def read_set(folder: Path) -> tuple[Feed, dict[str, np.ndarray]]:
    """Inputs and outputs of one ``test_data_set_N``, by name."""
    import onnx
    from onnx import numpy_helper

    def read(kind: str) -> dict[str, np.ndarray]:
        arrays = {}
        for index in range(len(list(folder.glob(f"{kind}_*.pb")))):
            tensor = onnx.load_tensor(folder / f"{kind}_{index}.pb")
            arrays[tensor.name] = numpy_helper.to_array(tensor)
        return arrays

    return read("input"), read("output")


def _where(reference: Reference, set_name: str) -> str:
    from onnxproof.grid import label

    point = next(point for point in reference.points if set_name in point.sets)
    return label(point.dims)
