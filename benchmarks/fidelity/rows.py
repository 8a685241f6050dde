"""The rows of docs/benchmark-fidelity.jsonl."""

from __future__ import annotations

from typing import Final, Literal

from onnxproof.records import Record

Called = Literal["slower", "faster", "not told apart"]
COMPARISONS_BY_PART: Final = {
    "aa": 200,
    "slower by 5 %": 100,
    "slower by 2 %": 100,
    "median": 10,
    "cost": 2,
}


class Row(Record):
    """One comparison, one median beside a plain loop's, or one cost; a name's last row counts."""

    name: str  # "aa 17"
    part: str  # "aa"
    first: str
    second: str
    ratio: float  # of the first over the second
    low: float = 0.0
    high: float = 0.0
    p50_ms: float = 0.0
    repetitions: int = 0
    rounds: int = 0
    seconds: float
    quality_warnings: tuple[str, ...] = ()  # rules
    measured_at: str
    versions: dict[str, str]
    cpu_model: str = ""

    @property
    def called(self) -> Called:
        """What the interval says."""
        if self.low > 1:
            return "slower"
        return "faster" if self.high < 1 else "not told apart"
