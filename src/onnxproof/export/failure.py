"""Why an exporter gave no graph: in one line, with the author's line and what may help."""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from onnxproof.export.hints import against_error
from onnxproof.spec import StrategyName
from onnxproof.usercode.source_lines import model_line, without_folders

REASON_CHARACTERS: Final = 400
ADVICE: Final = (
    "The error above occurred when calling torch.export.export.",
    "The following call raised this error:",
    "For more information,",
    "Caused by: (",
    "consider using data-dependent friendly APIs",
    "Suggested fixes:",
    "(node defined in ",
    'File "',
)
"""How the lines begin that PyTorch adds after its reason; a place is told on its own."""


class Fault(NamedTuple):
    """What an exporter's error says."""

    reason: str
    where: str
    hint: str


def explain(error: BaseException, strategy: StrategyName, roots: Sequence[str]) -> Fault:
    """The cause, without the page of advice that the exporter wraps around it."""
    chain = list(_causes(error))
    cause = chain[-1]
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(cause))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    kept = list(itertools.takewhile(lambda line: not line.startswith(ADVICE), lines)) or lines[:1]
    node = next((node for raised in chain for node in _nodes_of(raised)), None)
    operator = f"{node.target}: " if node is not None else ""
    reason = f"{operator}{type(cause).__name__}: {without_folders(' '.join(kept), roots)}"
    return Fault(
        reason=reason[:REASON_CHARACTERS].rstrip(": "),
        where=_where(chain, text, node, roots),
        hint=against_error(strategy, "\n".join(f"{type(e).__name__}: {e}" for e in chain[::-1])),
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _where(chain: Sequence[BaseException], text: str, node: Any, roots: Sequence[str]) -> str:
    # TorchScript's callers come after the line that it marks.
    marked = text.partition(" is being compiled since it was called from")[0]
    traces = (
        (node.stack_trace or "") if node is not None else "",
        marked.replace("(node defined in ", "\n"),
        *("".join(traceback.format_tb(raised.__traceback__)) for raised in chain[::-1]),
    )
    return next(filter(None, (model_line(trace, roots) for trace in traces)), "")


def _nodes_of(error: BaseException) -> Iterator[Any]:
    """The node of the program whose translation raised; the error has its name only."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "_translate_fx_graph" and "node" in frame.f_locals:
            yield frame.f_locals["node"]
