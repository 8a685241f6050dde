"""Which architectures come out of PyTorch: by each strategy, by the search, by the bare exporter.

    python -m benchmarks.coverage                     # every entry that has no row yet
    python -m benchmarks.coverage --only mamba        # names or families, with * and ?
    python -m benchmarks.coverage --render            # docs/coverage.md from docs/coverage.jsonl

A row is written as soon as its architecture is done, so a run that is killed goes on where it was.
One at a time, since seconds and memory are measured; each stage runs in a child with limits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from benchmarks.coverage_page import render
from benchmarks.coverage_rows import Cell, Row
from benchmarks.json_lines import append, last_rows, versions
from benchmarks.measured import BARE, Measured, bare_cell, cell_of
from benchmarks.zoo import ZOO, Architecture
from onnxproof.errors import OnnxproofError
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.load import load_source
from onnxproof.pipeline.search import search_candidates
from onnxproof.pipeline.workspace import open_work
from onnxproof.records import Run
from onnxproof.spec import StrategyName

ROOT: Final = Path(__file__).resolve().parents[1]
ROWS: Final = ROOT / "docs" / "coverage.jsonl"
PAGE: Final = ROOT / "docs" / "coverage.md"
STRATEGIES: Final[tuple[StrategyName, ...]] = ("dynamo", "trace", "script")
PRELOADED: Final = (
    "transformers.PreTrainedModel", "transformers.modeling_outputs", "transformers.masking_utils",
)  # fmt: skip


def measure(entry: Architecture, home: Path, *, seconds: float, memory_gb: float) -> Row:
    """All cells of one architecture; a model that gives no reference has none."""
    spec = entry.spec(seconds=seconds, memory_gb=memory_gb)
    work = open_work(
        spec, (str(ROOT),), home=home, allow=("benchmarks",), local_code=False, metadata={}
    )
    row = Row(
        architecture=entry.name,
        family=entry.family,
        dims=tuple(spec.dims),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(entry.needs),
    )
    try:
        loaded = load_source(spec, work)
    except OnnxproofError as error:
        return row.model_copy(update={"unloaded": str(error)})
    run = Run(spec, work, loaded)
    stages = Measured(run)
    cells: dict[str, Cell] = {}
    for way, strategies in (
        ("search", STRATEGIES),
        *((strategy, (strategy,)) for strategy in STRATEGIES),
    ):
        cells[way] = cell_of(search_candidates(_with(run, strategies), stages), stages)
    for way in BARE:
        cells[way] = bare_cell(way, stages)
    return row.model_copy(update={"parameters": loaded.parameters, "cells": cells})


def _with(run: Run, strategies: tuple[StrategyName, ...]) -> Run:
    export = run.spec.export.model_copy(update={"strategies": strategies})
    return replace(run, spec=run.spec.model_copy(update={"export": export}))


def _wanted(patterns: list[str]) -> list[Architecture]:
    chosen = [
        entry
        for entry in ZOO
        if not patterns
        or any(
            fnmatch(entry.name, pattern) or fnmatch(entry.family, pattern) for pattern in patterns
        )
    ]
    if not chosen:
        sys.exit(f"no entry is called {', '.join(patterns)}; there are {_names(ZOO)}")
    if missing := [entry for entry in chosen if not entry.runs_here]:
        print(f"left out, {missing[0].needs} is not installed here: {_names(missing)}")
    return [entry for entry in chosen if entry.runs_here]


def _names(entries: tuple[Architecture, ...] | list[Architecture]) -> str:
    return ", ".join(entry.name for entry in entries)


def main() -> None:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names or families")
    parser.add_argument("--again", action="store_true", help="measure what has a row, too")
    parser.add_argument("--render", action="store_true", help="write the page, measure nothing")
    parser.add_argument("--rows", type=Path, default=ROWS, help="JSON lines to go on with")
    parser.add_argument("--seconds", type=float, default=300, help="limit of each stage")
    parser.add_argument("--memory-gb", type=float, default=4, help="limit of each stage")
    asked = parser.parse_args()
    if not asked.render:
        _measure_all(asked)
    if asked.rows == ROWS:
        PAGE.write_text(
            render(last_rows(ROWS, Row, "architecture"), [entry.name for entry in ZOO]),
            encoding="utf-8",
        )


def _measure_all(asked: argparse.Namespace) -> None:
    done = set() if asked.again else set(last_rows(asked.rows, Row, "architecture"))
    waiting = [entry for entry in _wanted(asked.only) if entry.name not in done]
    if not any(entry.needs for entry in waiting):
        prepare_children(names=PRELOADED)
    for number, entry in enumerate(waiting, 1):
        with tempfile.TemporaryDirectory(prefix="onnxproof-coverage-") as home:
            row = measure(entry, Path(home), seconds=asked.seconds, memory_gb=asked.memory_gb)
        append(asked.rows, row)
        print(f"{number}/{len(waiting)} {row.line()}", flush=True)


if __name__ == "__main__":
    main()
