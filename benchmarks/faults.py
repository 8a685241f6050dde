"""The proof of the proof: seeded faults in real exports, and who catches them.

    python -m benchmarks.faults                      # every fault that has no row yet
    python -m benchmarks.faults --only 'module: *'   # names or groups, with * and ?
    python -m benchmarks.faults --again              # also what has a row
    python -m benchmarks.faults --render             # docs/faults.md from docs/faults.jsonl
    python -m benchmarks.faults --cost               # reference and check against one export

A row is written as soon as its fault is judged, so a run that is killed goes on where it was. It
exits with 1 when a fault was not caught, or an export without one was refused.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from benchmarks.fault_cost import print_cost
from benchmarks.fault_page import render
from benchmarks.fault_rows import Row, Said
from benchmarks.faultlist import CONTROLS, FAULTS, GROUPS, Fault
from benchmarks.faultlist.judge import Bench
from benchmarks.faultlist.peers import ask_peers
from benchmarks.json_lines import append, last_rows, versions
from onnxproof.isolation.child import prepare_children

ROOT: Final = Path(__file__).resolve().parents[1]
ROWS: Final = ROOT / "docs" / "faults.jsonl"
PAGE: Final = ROOT / "docs" / "faults.md"


def measure(fault: Fault, bench: Bench) -> Row:
    """What ours says, and what the others say of the same files."""
    found = bench.judge(fault)
    answers = ask_peers(fault, found.victim) if found.victim else {}
    return Row(
        fault=fault.name,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        caught=found.caught,
        verdict=found.verdict,
        without_weights=found.without_weights,
        stage=found.stage,
        reason=found.reason,
        seconds=round(found.seconds, 3),
        peers={name: Said.model_validate(answer._asdict()) for name, answer in answers.items()},
    )


def _wanted(patterns: list[str]) -> list[Fault]:
    groups = {fault.name: group for group, faults in GROUPS.items() for fault in faults}
    chosen = [
        fault
        for fault in (*CONTROLS, *FAULTS)
        if not patterns
        or any(
            fnmatch(fault.name, pattern) or fnmatch(groups.get(fault.name, "controls"), pattern)
            for pattern in patterns
        )
    ]
    if not chosen:
        sys.exit(f"no fault is called {', '.join(patterns)}; groups are {', '.join(GROUPS)}")
    return chosen


def main() -> None:
    """Judge what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names or groups")
    parser.add_argument("--again", action="store_true", help="judge what has a row, too")
    parser.add_argument("--render", action="store_true", help="write the page, judge nothing")
    parser.add_argument("--cost", action="store_true", help="time reference and check instead")
    parser.add_argument("--rows", type=Path, default=ROWS, help="JSON lines to go on with")
    asked = parser.parse_args()
    if asked.cost:
        print_cost()
        return
    failures = 0 if asked.render else _judge_all(asked)
    if asked.rows == ROWS:
        PAGE.write_text(render(last_rows(ROWS, Row, "fault")), encoding="utf-8")
    sys.exit(failures > 0)


def _judge_all(asked: argparse.Namespace) -> int:
    done = set() if asked.again else set(last_rows(asked.rows, Row, "fault"))
    waiting = [fault for fault in _wanted(asked.only) if fault.name not in done]
    prepare_children()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="onnxproof-faults-") as folder:
        bench = Bench(Path(folder).resolve(), children=True)
        for number, fault in enumerate(waiting, 1):
            row = measure(fault, bench)
            append(asked.rows, row)
            wrong += row.verdict != fault.caught_by
            print(f"{number}/{len(waiting)} {row.line()}", flush=True)
    return wrong


if __name__ == "__main__":
    main()
