"""Does the graph say what PyTorch said on every edge sample, each held to a budget of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.check.budget import Budget, budget_of, wider
from onnxproof.check.elementwise import Comparison
from onnxproof.check.parity import difference_in, worst_of
from onnxproof.errors import one_line
from onnxproof.records import (
    EdgeCheck,
    EdgeOutput,
    EdgeSample,
    OutputParity,
    Reference,
    Verdict,
    Work,
)
from onnxproof.samples.edges import NEGATIVE_ZERO, ZERO
from onnxproof.samples.sample_files import read_set

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.runtime import Session


def check_edges(
    work: Work, session: Session, reference: Reference, parity: tuple[OutputParity, ...]
) -> tuple[Verdict, tuple[EdgeCheck, ...]]:
    """The verdict, and what was found on each sample.

    An element may be as far off as PyTorch's own noise at this sample allows, and never less than
    on a seeded one. Where PyTorch itself is undecided nothing is compared. A sample of -0 whose
    twin of 0 is right is a note: the sign of a zero is lost by many right graphs.

    Args:
        work: The folder of the reference.
        session: The graph.
        reference: What PyTorch said.
        parity: What was found on the seeded samples, with their budgets.
    """
    usual = {row.name: budget_of(row) for row in parity}
    rows = [_check(work, session, reference, sample, usual) for sample in reference.edges]
    right_at_zero = {row.inputs for row in rows if (row.values, row.outcome) == (ZERO, "passed")}
    rows = [
        row.model_copy(update={"outcome": "skipped"})
        if row.outcome == "failed" and row.values == NEGATIVE_ZERO and row.inputs in right_at_zero
        else row
        for row in rows
    ]
    if wrong := [row for row in rows if row.outcome == "failed"]:
        reason = wrong[0].reason
        if len(wrong) > 1:
            reason += f"; also wrong at {len(wrong) - 1} other edge samples of {len(rows)}"
        return Verdict(name="edges", outcome="failed", reason=reason), tuple(rows)
    noted = sum(row.outcome == "skipped" for row in rows)
    reason = f"{len(rows)} edge samples within tolerance"
    reason += f", {noted} of them but for the sign of zero" if noted else ""
    return Verdict(name="edges", outcome="passed", reason=reason), tuple(rows)


def _label(sample: EdgeSample) -> str:
    return f"{', '.join(sample.inputs)}: {sample.values}"


def _check(
    work: Work,
    session: Session,
    reference: Reference,
    sample: EdgeSample,
    usual: Mapping[str, Budget],
) -> EdgeCheck:
    feed, expected = read_set(Path(work.path(reference.folder, sample.folder)))
    try:
        actual = session.run(feed)
    except Exception as error:  # ONNX Runtime's classes have no common base
        return _failed(sample, f"ONNX Runtime failed ({_label(sample)}): {one_line(error, 300)}")
    own = {output.name: output for output in sample.outputs}
    rows = []
    for name, wanted in expected.items():
        found = actual[name]
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            return _failed(
                sample,
                f"output {name!r} is {found.dtype}{list(found.shape)}, "
                f"PyTorch gives {wanted.dtype}{list(wanted.shape)} ({_label(sample)})",
            )
        comparison = Comparison(name, _budget(own[name], usual[name]))
        comparison.add(wanted, decided(wanted, found, own[name].undecided), sample.folder)
        rows.append(comparison.result())
    if (worst := worst_of(rows)) is not None:
        return _failed(sample, difference_in(worst, _label(sample)), tuple(rows))
    return EdgeCheck(
        folder=sample.folder,
        inputs=sample.inputs,
        values=sample.values,
        outcome="passed",
        parity=tuple(rows),
    )


def decided(wanted: np.ndarray, found: np.ndarray, undecided: tuple[int, ...]) -> np.ndarray:
    """``found`` with PyTorch's answer wherever PyTorch itself is undecided."""
    if not undecided:
        return found
    settled = found.copy()
    settled.flat[list(undecided)] = wanted.flat[list(undecided)]
    return settled


def _budget(own: EdgeOutput, usual: Budget) -> Budget:
    """Of one output at one sample; what the spec asks for, and equality, hold there as well."""
    if usual.basis in {"spec", "exact"}:
        return usual
    return wider(Budget(own.classes, usual.rtol, usual.basis), usual)


def _failed(sample: EdgeSample, reason: str, rows: tuple[OutputParity, ...] = ()) -> EdgeCheck:
    return EdgeCheck(
        folder=sample.folder,
        inputs=sample.inputs,
        values=sample.values,
        outcome="failed",
        reason=reason,
        parity=rows,
    )
