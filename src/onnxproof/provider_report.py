"""What was found on execution providers besides the CPU's, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from onnxproof.markdown import join, table
from onnxproof.parity_table import parity_table
from onnxproof.records import Placement, ProviderCheck

MOST_NODES: Final = 12


def provider_sections(providers: Sequence[ProviderCheck]) -> list[str]:
    """A heading and what follows it; nothing where the spec names no other provider."""
    if not providers:
        return []
    verdicts = table(
        ("execution provider", "products in", "verdict", "reason"),
        [(p.provider, p.precision, p.verdict.outcome, p.verdict.reason) for p in providers],
    )
    parts = ["## Execution providers", verdicts]
    for each in providers:
        parts += [f"### {each.provider}"] if each.parity or each.placement else []
        parts += [parity_table(each.parity)] if each.parity else []
        parts += [placement_line(each.placement)] if each.placement else []
    return [join(*parts)]


def placement_line(placement: Placement) -> str:
    """Which provider took how many nodes, and which stayed on the CPU."""
    nodes = ", ".join(f"{count} on {name}" for name, count in placement.nodes.items())
    share = placement.cpu_time
    time = "" if share is None else f"; {share:.1%} of the time on the CPU"
    if not placement.on_cpu:
        return f"Nodes: {nodes}{time}."
    shown = ", ".join(f"`{node}`" for node in placement.on_cpu[:MOST_NODES])
    more = len(placement.on_cpu) - MOST_NODES
    rest = f" and {more} more" if more > 0 else ""
    return f"Nodes: {nodes}{time}. Left on the CPU: {shown}{rest}."
