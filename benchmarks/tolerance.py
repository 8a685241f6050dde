"""How much of its tolerance each right model of the zoo uses: the table of docs/tolerance.md.

    python -m benchmarks.tolerance [--only NAME]... [--rows FILE]

Each architecture is exported by trace and checked; a row is a magnitude class of one output, over
all samples. A model that is not proven has no row, and is named at the end.
"""

from __future__ import annotations

import argparse
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from benchmarks.json_lines import append, last_rows
from benchmarks.zoo import ZOO, Architecture
from onnxproof.check.stage import check_candidate
from onnxproof.errors import OnnxproofError
from onnxproof.export.stage import export_onnx
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.load import load_source
from onnxproof.pipeline.workspace import open_work
from onnxproof.records import Run

ROOT: Final = Path(__file__).resolve().parents[1]


class Row(BaseModel):
    """One magnitude class of one output."""

    name: str  # architecture, output and class
    elements: int
    noise_share: float | None  # of its magnitude; None where nothing was measured in it
    difference_over_noise: float | None
    atol_used: float  # largest difference over what the class is allowed
    rms_used: float  # root mean squares: of the differences, over what is allowed


def measure(entry: Architecture, home: Path) -> list[Row]:
    """Rows of one architecture.

    Raises:
        OnnxproofError: It is not proven, and why.
    """
    spec = entry.spec(seconds=600, memory_gb=12)
    work = open_work(
        spec, (str(ROOT),), home=home, allow=("benchmarks",), local_code=False, metadata={}
    )
    run = Run(spec, work, load_source(spec, work))
    check = check_candidate(run, export_onnx(run, "trace"))
    if not check.proven:
        raise OnnxproofError(check.reason)
    noise = {
        (output.name, found.low): found
        for output in run.loaded.reference.noise
        for found in output.classes
    }
    rows = []
    for output in check.parity:
        for found in output.classes if output.basis == "noise" else ():
            own = noise.get((output.name, found.low))
            known = own is not None and own.max_abs > 0 and found.rms > 0
            rows.append(
                Row(
                    name=f"{entry.name} {output.name} {found.low:.3g}",
                    elements=found.elements,
                    noise_share=own.max_abs / found.rms if own and known else None,
                    difference_over_noise=found.max_abs_diff / own.max_abs
                    if own and known
                    else None,
                    atol_used=found.max_abs_diff / found.atol if found.atol else 0.0,
                    rms_used=found.rms_diff / found.max_rms_diff if found.max_rms_diff else 0.0,
                )
            )
    return rows


def describe(rows: list[Row]) -> str:
    """Least, median and largest of each number."""
    lines = [f"{len(rows)} classes"]
    for field in ("noise_share", "difference_over_noise", "atol_used", "rms_used"):
        values = sorted(value for row in rows if (value := getattr(row, field)) is not None)
        if values:
            least, middle, most = values[0], values[len(values) // 2], values[-1]
            lines.append(f"| {field} | {least:.2g} | {middle:.2g} | {most:.2g} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--rows", type=Path, default=Path("tolerance.jsonl"))
    args = parser.parse_args()
    prepare_children()
    unproven = []
    for entry in ZOO:
        if args.only and not any(fnmatch(entry.name, pattern) for pattern in args.only):
            continue
        try:
            with tempfile.TemporaryDirectory() as home:
                for row in measure(entry, Path(home)):
                    append(args.rows, row)
                    if row.atol_used > 0.3 or row.rms_used > 0.3:
                        print(row)
        except OnnxproofError as error:
            unproven.append(f"{entry.name}: {str(error)[:200]}")
    print(describe(list(last_rows(args.rows, Row, "name").values())))
    print("\n".join(["not proven by trace:", *unproven]))


if __name__ == "__main__":
    main()
