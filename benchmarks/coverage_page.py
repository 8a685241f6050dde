"""docs/coverage.md, from the measured rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.coverage_rows import Cell, Row
from benchmarks.json_lines import version_lines

WAYS: Final = ("search", "dynamo", "trace", "script", "bare dynamo", "bare trace")
HEAD: Final = """# Coverage

Which architectures come out of PyTorch with every declared dim dynamic, proven: contract, and
parity with PyTorch over the shape grid. `python -m benchmarks.coverage` measures every entry that
has no line in [coverage.jsonl](coverage.jsonl) yet, `--again --only NAME` one anew, and `--render`
writes this page from those lines.

- **search**: what a run does: `dynamo`, `trace`, `script` in turn until a graph is proven.
- **dynamo, trace, script**: a run with that strategy alone.
- **bare**: `torch.onnx.export` by hand, with `dynamo=True` and the dims declared, or `dynamo=False`
  and `dynamic_axes`. Its graph is held to the same check afterwards.
- **wrong**: a graph came out without an error, and it is not what was asked for. Of the bare
  exporter nobody would have noticed. A strategy's is refused, so it counts as failed.
- Seconds are wall clock of every stage that a way needs, imports and check included, on two cores
  with other work on them: compare within a row. Memory is that of the largest process, resident.

The models are small, with random weights, from `benchmarks/zoo`. What is proven is that the
architecture comes out, and nothing of a checkpoint.
"""
TIMM: Final = """
## timm

timm needs torchvision, whose wheel does not fit a CPU torch, and whose presence breaks
Transformers. So its entries run in an environment of their own, in which the operators that
torchvision's Python part names are declared and empty (`benchmarks/zoo/timm_models.py`); no model
here calls one:

```sh
python -m venv build/timm && build/timm/bin/pip install -e '.[cpu,examples]'
build/timm/bin/pip install --no-deps timm torchvision
build/timm/bin/python -m benchmarks.coverage --only timm
```
"""


def render(rows: Mapping[str, Row], names: Sequence[str]) -> str:
    """The page; entries of ``names`` without a row are named as not measured."""
    measured = [rows[name] for name in names if name in rows]
    loaded = [row for row in measured if row.cells]
    parts = [
        HEAD,
        *_shares(loaded),
        *_missing(rows, names, measured),
        *_classes(loaded),
        *_workarounds(loaded),
        *_table(loaded),
        *_reasons(loaded),
        *version_lines(measured, "architectures"),
        TIMM,
    ]
    return "\n".join(parts)


def _shares(rows: Sequence[Row]) -> Iterable[str]:
    yield f"## Shares of {len(rows)} architectures\n"
    yield "| way | proven | wrong | failed | median s | median GB |"
    yield "|---|---|---|---|---|---|"
    for way in WAYS:
        cells = [row.cells[way] for row in rows]
        ends = Counter(cell.end for cell in cells)
        share = f"{ends['proven']} ({ends['proven'] / max(len(rows), 1):.1%})"
        wrong, failed = ends["wrong"], ends["failed"]
        seconds = _median([cell.seconds for cell in cells])
        memory = _median([cell.peak_gb for cell in cells])
        yield f"| {way} | {share} | {wrong} | {failed} | {seconds:.0f} | {memory:.2f} |"
    yield ""


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _missing(rows: Mapping[str, Row], names: Sequence[str], measured: Sequence[Row]) -> list[str]:
    lines = [
        f"{row.architecture} gave no reference, so nothing was tried: {row.unloaded}\n"
        for row in measured
        if row.unloaded
    ]
    if missing := [name for name in names if name not in rows]:
        lines.append(f"Not measured yet, {len(missing)} of {len(names)}: {', '.join(missing)}.\n")
    return lines


def _classes(rows: Sequence[Row]) -> Iterable[str]:
    counts = Counter(
        (cell.failure, way) for row in rows for way, cell in row.cells.items() if cell.failure
    )
    yield "## Failures by class\n"
    yield f"| class | {' | '.join(WAYS)} |"
    yield f"|---|{'---|' * len(WAYS)}"
    for failure in sorted({failure for failure, _ in counts}):
        yield f"| {failure} | {' | '.join(str(counts[failure, way] or '') for way in WAYS)} |"
    yield ""


def _workarounds(rows: Sequence[Row]) -> Iterable[str]:
    used = [
        f"- {row.architecture}, {way}: {', '.join(cell.workarounds)}"
        for row in rows
        for way, cell in row.cells.items()
        if cell.workarounds and way != "search"
    ]
    yield "## Proven by a workaround\n"
    yield (
        "A strategy takes one where it cannot export the module as it is written; the candidate "
        "names it (`onnxproof.export.workarounds`).\n"
    )
    yield from used or ["None."]
    yield ""


def _table(rows: Sequence[Row]) -> Iterable[str]:
    yield "## Every architecture\n"
    yield f"| architecture | family | dims | {' | '.join(WAYS)} |"
    yield f"|---|---|---|{'---|' * len(WAYS)}"
    for row in rows:
        cells = " | ".join(_cell(row.cells[way]) for way in WAYS)
        yield f"| {row.architecture} | {row.family} | {', '.join(row.dims)} | {cells} |"
    yield ""


def _cell(cell: Cell) -> str:
    what = cell.chosen or cell.end
    end = what if cell.end == "proven" else f"**{cell.end}**: {cell.failure}"
    return f"{end}, {cell.seconds:.0f} s, {cell.peak_gb:.2f} GB"


def _reasons(rows: Sequence[Row]) -> Iterable[str]:
    yield "## What the search did not prove, and why\n"
    lines = [
        f"- {row.architecture}, {way}: {cell.reason}"
        for row in rows
        if row.cells["search"].end != "proven"
        for way, cell in row.cells.items()
        if way in ("dynamo", "trace", "script")
    ]
    yield from lines or ["Nothing."]
    yield ""
