"""What every record is, and the words they share."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, WithJsonSchema

Outcome = Literal["passed", "failed", "skipped", "not_reached"]
Difference = Annotated[
    float, WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "Infinity"}]})
]
"""JSON has no infinity, so it is written as that string; an output that is NaN is as far off."""


class Record(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Verdict(Record):
    """The answer to one question, always with its reason."""

    name: str
    outcome: Outcome
    reason: str


class Work(Record):
    """The folder of one run; everything it writes before the registry is below it."""

    folder: str
    roots: tuple[str, ...]  # where the spec's relative paths and modules are looked up
    allow: tuple[str, ...]  # packages that may be imported
    metadata: dict[str, str]  # stamped into every candidate
    local_code: bool = False  # command line: the roots' own modules are allowed too

    def path(self, *parts: str) -> str:
        """A path below the folder."""
        return str(PurePosixPath(self.folder, *parts))
