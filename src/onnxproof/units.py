"""Small pieces of Markdown, and numbers as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def in_ms(milliseconds: float) -> str:
    """Three digits, and no exponent where a call takes seconds."""
    digits = f"{milliseconds:.3g}" if milliseconds < 999.5 else f"{milliseconds:.0f}"
    return f"{digits} ms"


def in_bytes(size: float) -> str:
    """Three digits and a unit."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def count(number: int, noun: str) -> str:
    """``1 shape``, ``2 shapes``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
