"""Why an exporter gave no graph, in one line a person can act on."""

from __future__ import annotations

import itertools
import re
from typing import Final

REASON_CHARACTERS: Final = 400
ADVICE: Final = (
    "The error above occurred when calling torch.export.export.",
    "For more information,",
)
"""How the lines begin that PyTorch adds after its reason."""


def explain(error: BaseException) -> str:
    """The cause in one line: the exporter wraps it in a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined = " ".join(itertools.takewhile(lambda line: not line.startswith(ADVICE), lines))
    return f"{type(error).__name__}: {joined[:REASON_CHARACTERS]}".rstrip(": ")
