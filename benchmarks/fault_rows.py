"""The rows of docs/faults.jsonl."""

from __future__ import annotations

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
    without_weights: str = ""  # the verdict that would have caught it if `weights` had not
    stage: str = ""
    reason: str = ""
    seconds: float
    peers: dict[str, Said] = Field(default_factory=dict)

    def line(self) -> str:
        """For whoever watches."""
        ours = f"caught by {self.verdict}" if self.caught else "NOT CAUGHT"
        peers = "  ".join(f"{name} {peer.says}" for name, peer in self.peers.items())
        return f"{self.fault}: {ours}, {self.seconds:.2f} s; {peers}"
