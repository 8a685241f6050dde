"""Measure what has no row yet, and write the page; ends with 1 where a number does not hold."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.fidelity.comparisons import compare
from benchmarks.fidelity.cost import cost
from benchmarks.fidelity.page import claims, holds, render
from benchmarks.fidelity.plain import agree
from benchmarks.fidelity.rows import COMPARISONS_BY_PART, Row
from benchmarks.json_lines import append, last_rows
from onnxproof.isolation.child import prepare_children

DOCS: Final = Path(__file__).parents[2] / "docs"
ROWS: Final = DOCS / "benchmark-fidelity.jsonl"
PAGE: Final = DOCS / "benchmark-fidelity.md"
PROCESSES: Final = DOCS / "benchmark-processes.md"
"""Of ``benchmarks.fidelity.processes``, with what follows from it, by hand."""


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=COMPARISONS_BY_PART, default=list(COMPARISONS_BY_PART)
    )
    parser.add_argument("--rows", type=Path, default=ROWS, help="JSON lines to go on with")
    parser.add_argument("--render", action="store_true", help="write the page, measure nothing")
    asked = parser.parse_args()
    if not asked.render:
        _measure(asked.only, asked.rows)
    rows = last_rows(asked.rows, Row, "name")
    for claim in claims(rows):
        print(f"{claim.text}: {claim.found} ({claim.bound})")
    if asked.rows == ROWS:
        PAGE.write_text(render(rows, PROCESSES.read_text(encoding="utf-8")), encoding="utf-8")
    raise SystemExit(0 if holds(rows) else 1)


def _measure(parts: Sequence[str], path: Path) -> None:
    done = set(last_rows(path, Row, "name"))
    waiting = [
        (part, number)
        for number in range(max(COMPARISONS_BY_PART.values()))
        for part in parts
        if number < COMPARISONS_BY_PART[part] and f"{part} {number}" not in done
    ]
    prepare_children()
    for count, (part, number) in enumerate(waiting, 1):
        with tempfile.TemporaryDirectory(prefix="onnxproof-fidelity-") as folder:
            row = _row(part, number, Path(folder))
        append(path, row)
        print(
            f"{count}/{len(waiting)} {row.name}: {row.ratio:.4f}, {row.seconds:.1f} s", flush=True
        )


def _row(part: str, number: int, folder: Path) -> Row:
    if part == "median":
        return agree(number, folder)
    return cost(number, folder) if part == "cost" else compare(part, number, folder)


if __name__ == "__main__":
    main()
