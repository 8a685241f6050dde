"""The base of every part of a spec."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

REFERENCE_PATTERN: Final = r"^[\w.]+:[\w.]+$"
"""``module:callable``."""


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
