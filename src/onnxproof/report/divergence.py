"""Where graphs go wrong, as lines for a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxproof.records import Attempt, Divergence


def divergence_lines(attempts: Sequence[Attempt]) -> list[str]:
    """One item for each graph that was walked, to be written in Markdown."""
    return [
        f"- {attempt.label}: {' '.join(_sentences(attempt.divergence))}"
        for attempt in attempts
        if attempt.divergence is not None
    ]


def _sentences(found: Divergence) -> Iterator[str]:
    yield f"{found.sentence}."
    if not found.tensor:
        return
    if found.max_abs_diff is not None:
        at = f" at {list(found.worst_index)}" if found.worst_index else ""
        yield (
            f"`{found.tensor}` differs from {found.against} by {found.max_abs_diff:.3g} "
            f"(budget {found.budget:.3g}){at} in {found.worst_set}."
        )
    if found.among:
        yield f"Not compared before it: {', '.join(found.among)}."
    if found.reason:
        yield f"{found.reason[0].upper()}{found.reason[1:]}."
    if found.reproducer is not None:
        alone = "differ too" if found.reproduces else "are right"
        yield (
            f"`{found.reproducer.path}` in the work folder holds these nodes, what they take and "
            f"what they should give; alone they {alone}."
        )
