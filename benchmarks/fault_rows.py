"""The rows of docs/faults.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from onnxproof.records import Record

Says = Literal["caught", "missed", "-"]


class Said(Record):
    """What a peer says; ``-`` where the fault cannot concern it."""

    says: Says
    reason: str = ""


class Row(Record):
    """One fault; the last row of a name counts."""

    fault: str
    measured_at: str
    versions: dict[str, str]
    caught: bool
    verdict: str = ""
    without_ledger: str = ""  # the verdict that would have caught it if `weights` had not
    stage: str = ""
    reason: str = ""
    seconds: float
    peers: dict[str, Said] = Field(default_factory=dict)

    def line(self) -> str:
        """For whoever watches."""
        ours = f"caught by {self.verdict}" if self.caught else "NOT CAUGHT"
        peers = "  ".join(f"{name} {each.says}" for name, each in self.peers.items())
        return f"{self.fault}: {ours}, {self.seconds:.2f} s; {peers}"


def append(path: Path, row: Row) -> None:
    """One line, written at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json(exclude_defaults=True) + "\n")


def last_rows(path: Path) -> dict[str, Row]:
    """Rows by fault; an earlier row of the same name is history."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [Row.model_validate_json(line) for line in lines if line]
    return {row.fault: row for row in rows}
