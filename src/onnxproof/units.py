"""Small pieces of Markdown, and numbers as people read them."""

from __future__ import annotations


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
