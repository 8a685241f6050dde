"""Which proven candidate is chosen: the fastest beyond noise, and of a tie the fewest nodes."""

from __future__ import annotations

from collections.abc import Sequence

from onnxproof.records import Candidate, Ratio


def choose(kept: Sequence[Candidate], ratios: Sequence[Ratio]) -> tuple[Candidate, dict[str, str]]:
    """The candidate with the fewest nodes among those not shown to be slower than the fastest.

    Args:
        kept: Proven candidates, in the order in which they were tried.
        ratios: Of all others over the one with the lowest latency, lowest first; empty where the
            benchmark compared nothing.

    Returns:
        The candidate, and the reason of each by its label.
    """
    if not ratios:
        chosen = _fewest_nodes(kept)
        why = "; nothing was compared, and it has the fewest nodes" if len(kept) > 1 else ""
        return chosen, {chosen.label: f"proven{why}"}
    best, nearest = ratios[0].over, ratios[0]
    slower = {ratio.runner for ratio in ratios if ratio.low > 1}
    tied = [candidate for candidate in kept if candidate.label not in slower]
    chosen = _fewest_nodes(tied)
    reasons = {ratio.runner: f"proven; {_ratio_text(ratio)}" for ratio in ratios}
    reasons[best] = f"proven; the lowest latency of {len(kept)}"
    if len(tied) > 1:
        reasons[chosen.label] += f"; of {len(tied)} not told apart it has the fewest nodes"
    else:
        reasons[chosen.label] += f"; the next, {nearest.runner}, has {_ratio_text(nearest)}"
    return chosen, reasons


def _fewest_nodes(candidates: Sequence[Candidate]) -> Candidate:
    return min(candidates, key=lambda candidate: candidate.nodes)


def _ratio_text(ratio: Ratio) -> str:
    return (
        f"{ratio.ratio:.3f} times the latency of {ratio.over} "
        f"(99 % interval {ratio.low:.3f} to {ratio.high:.3f}, {ratio.repetitions} repetitions)"
    )
