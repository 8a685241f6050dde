"""Measured rows as JSON lines: written one by one, read by name, with what they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol, TypeVar

from pydantic import BaseModel

from onnxproof.proof.versions import flow_version

TOOLS: Final = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxsim", "transformers")
Row = TypeVar("Row", bound=BaseModel)


class Measured(Protocol):
    """What a row says of its own measurement."""

    @property
    def measured_at(self) -> str:
        """ISO 8601, UTC."""

    @property
    def versions(self) -> dict[str, str]:
        """By distribution."""


def versions(needs: str = "") -> dict[str, str]:
    """Of everything that a row depends on."""
    names = (*TOOLS, needs) if needs else TOOLS
    return {"onnxproof": flow_version()} | {name: metadata.version(name) for name in names}


def append(path: Path, row: BaseModel) -> None:
    """One line, written at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(row.model_dump_json(exclude_defaults=True) + "\n")


def last_rows(path: Path, kind: type[Row], name: str) -> dict[str, Row]:
    """Rows by their field ``name``; an earlier row of the same one is history."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [kind.model_validate_json(line) for line in lines if line]
    return {getattr(row, name): row for row in rows}


def version_lines(rows: Sequence[Measured], noun: str) -> Iterable[str]:
    """The section of a page that says with what its rows were measured, and when."""
    yield "## Versions\n"
    for text, count in Counter(
        ", ".join(f"{name} {version}" for name, version in row.versions.items()) for row in rows
    ).most_common():
        yield f"- {count} {noun}: {text}"
    dates = sorted(row.measured_at[:10] for row in rows)
    yield f"- measured {dates[0]} to {dates[-1]}" if dates else "- nothing is measured"
