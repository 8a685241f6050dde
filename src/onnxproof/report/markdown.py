"""Small pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    """Text for a table: a pipe would end the cell, and ``<built-in ...>`` would vanish as a tag."""
    text = "" if value is None else str(value).replace("|", "\\|")
    return " ".join(re.sub(r"<(?=[A-Za-z/!?])", r"\\<", text).split())


def join(*parts: str) -> str:
    """Paragraphs, without the empty ones."""
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"
