"""Does ONNX Runtime say on every saved sample what PyTorch said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.errors import one_line
from onnxproof.progress import say
from onnxproof.records import GridPoint, OutputParity, Reference, Verdict, Work
from onnxproof.records.parity import BASES
from onnxproof.samples.grid import affordable
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import Provider, Spec

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.check.budget import Budget
    from onnxproof.runtime import Session


UNOPTIMIZED_SECONDS: Final = 1.0
"""Without its rewrites ONNX Runtime is several times slower, and consumers run it with them."""


class Disagreement(Exception):
    """The graph gives nothing that could be compared element by element."""


def check_parity(
    spec: Spec, work: Work, session: Session, reference: Reference, *, optimized: bool = True
) -> tuple[Verdict, tuple[OutputParity, ...]]:
    """The verdict, and the numbers of every output where there are some.

    With ``optimized`` every sample is compared; without, the first of each shape, cheapest first,
    while there is time: ONNX Runtime's rewrites change with shapes, not with values. Both are held
    to the same tolerance.
    """
    points = covered(reference)
    if optimized:
        sets: Iterable[str] = (set_name for point in points for set_name in point.sets)
        return parity_verdict("parity", spec, work, session, reference, sets)
    sets = (point.sets[0] for point in affordable(points, UNOPTIMIZED_SECONDS))
    return parity_verdict("parity_unoptimized", spec, work, session, reference, sets)


def covered(reference: Reference) -> list[GridPoint]:
    """Points with samples that are held to one budget; edge samples have budgets of their own."""
    return [point for point in reference.points if point.sets and point.values != "edges"]


def check_overflow(spec: Spec, work: Work, session: Session, reference: Reference) -> Verdict:
    """The verdict on a graph that overflows where float16 does; see ``onnxproof.check.float16``.

    One sample of each shape, cheapest first, while there is time.
    """
    points = covered(reference)
    sets = (point.sets[0] for point in affordable(points, UNOPTIMIZED_SECONDS))
    verdict, _ = parity_verdict("parity_float16", spec, work, session, reference, sets)
    if verdict.outcome == "failed":
        reason = (
            f"computed node by node in float16, as a GPU may, and not in float32 as ONNX Runtime's "
            f"CPU provider does: "
            f"{verdict.reason}"
        )
        return verdict.model_copy(update={"reason": reason})
    return verdict


def parity_verdict(
    name: str,
    spec: Spec,
    work: Work,
    session: Session,
    reference: Reference,
    sets: Iterable[str],
    provider: Provider | None = None,
) -> tuple[Verdict, tuple[OutputParity, ...]]:
    """The verdict ``name`` over the samples ``sets``, and the numbers of every output.

    Args:
        name: Of the verdict.
        spec: What was asked.
        work: The folder of the reference.
        session: The graph, on some provider.
        reference: What PyTorch said.
        sets: Names of samples.
        provider: Whose tolerance holds; None for the usual one.
    """
    compared: list[str] = []
    try:
        parity = compare_all(spec, work, session, reference, _noted(sets, compared), provider)
    except Disagreement as error:
        return Verdict(name=name, outcome="failed", reason=str(error)), ()
    if reason := _difference(reference, parity):
        return Verdict(name=name, outcome="failed", reason=reason), parity
    used = max(row.budget_used or 0.0 for row in parity)
    taken = set(compared)
    points = [point for point in reference.points if point.values != "edges"]
    shapes = sum(1 for point in points if taken & set(point.sets))
    reason = f"{shapes} shapes, {len(compared)} samples within tolerance, {used:.2g} of it used"
    if left_out := len(points) - shapes:
        reason += f"; {left_out} shapes were beyond the budget"
    return Verdict(name=name, outcome="passed", reason=reason), parity


def _difference(reference: Reference, parity: Sequence[OutputParity]) -> str:
    """What differs, of the worst output, and where; empty where nothing does."""
    if (worst := worst_of(parity)) is None:
        return ""
    bad = sum(bool(row.mismatched) for row in parity)
    others = f", {bad} of {len(parity)} outputs" if bad else ""
    return difference_in(worst, _where(reference, worst.worst_set)) + others


def worst_of(parity: Sequence[OutputParity]) -> OutputParity | None:
    """The output with the largest share of elements that fail, else one that fails as a whole."""
    if bad := [row for row in parity if row.mismatched]:
        return max(bad, key=lambda row: row.mismatched / row.elements)
    return next((row for row in parity if row.beyond_rms), None)


def difference_in(row: OutputParity, point: str) -> str:
    """How far an output is off that fails, against what it was held to.

    Args:
        row: The output.
        point: What its worst sample is, for people.
    """
    found = row.beyond_rms
    if row.mismatched or found is None:
        return (
            f"output {row.name!r} differs by {row.worst_diff:.3g}, "
            f"{row.budget_used:.3g} times what is allowed (atol={row.atol:.3g}, "
            f"rtol={row.rtol:.3g}, {BASES[row.basis]}) in {row.worst_set} at index "
            f"{list(row.worst_index)} ({point}); {row.mismatched} of {row.elements} elements fail"
        )
    return (
        f"output {row.name!r} differs by {found.rms_diff:.3g} in root mean square over its "
        f"{found.elements} elements of magnitude {found.low:.3g} and more, and "
        f"{found.max_rms_diff:.3g} is allowed; no element alone is beyond its tolerance"
    )


def compare_all(
    spec: Spec,
    work: Work,
    session: Session,
    reference: Reference,
    sets: Iterable[str],
    provider: Provider | None = None,
) -> tuple[OutputParity, ...]:
    """Parity of every output over the samples ``sets``; the tolerance is that of all samples.

    Raises:
        Disagreement: ONNX Runtime failed on a sample, or gave another dtype or shape.
    """
    from onnxproof.check.elementwise import Comparison

    every = [name for point in covered(reference) for name in point.sets]
    saved = {name: read_set(Path(work.path(reference.folder, name))) for name in every}
    outputs = {
        output.name: [saved[name][1][output.name] for name in every] for output in reference.outputs
    }
    budgets = _budgets(spec, reference, outputs, provider)
    comparisons = {name: Comparison(name, budget) for name, budget in budgets.items()}
    for number, name in enumerate(sets):
        say("check", f"ONNX Runtime on {name}", number, len(every))
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
            comparisons[output].add(wanted, found, name)
    return tuple(comparison.result() for comparison in comparisons.values())


def _noted(names: Iterable[str], into: list[str]) -> Iterator[str]:
    for name in names:
        yield name
        into.append(name)


def _budgets(
    spec: Spec,
    reference: Reference,
    outputs: Mapping[str, Sequence[np.ndarray]],
    provider: Provider | None,
) -> dict[str, Budget]:
    from onnxproof.check.budget import budget_for, budget_on
    from onnxproof.runtime import precision_of

    noise = {floor.name: floor for floor in reference.noise}
    budgets = {
        name: budget_for(spec, name, arrays, noise.get(name)) for name, arrays in outputs.items()
    }
    if provider is None:
        return budgets
    precision = precision_of(provider.name, provider.options)
    rounding = {
        rounded.name: rounded for rounded in reference.rounding if rounded.precision == precision
    }
    return {
        name: budget_on(provider, precision, budgets[name], arrays, rounding.get(name))
        for name, arrays in outputs.items()
    }


def _where(reference: Reference, set_name: str) -> str:
    from onnxproof.samples.grid import label

    point = next(point for point in reference.points if set_name in point.sets)
    return label(point.dims)
