"""What an exporter takes from its example for a constant, and the line that made it one."""

from __future__ import annotations

import logging
import re
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from onnxproof.records import Specialization
from onnxproof.usercode.source_lines import model_line

MAX_SPECIALIZATIONS: Final = 8
"""Of one export; what matters is the first."""

_SYMBOLS: Final = "torch.fx.experimental.symbolic_shapes"
"""The logger on which torch.export says what it finds out about sizes, as of torch 2.13."""
_CREATED: Final = re.compile(r"create_symbol (\w+) = \d+ for L\['(\w+)'\].*\.size\(\)\[(\d+)\]")
_GUARDED: Final = re.compile(r"eval (.+) \[guard added\]")
_TRACER: Final = r"[\s\S]*(might cause the trace to be incorrect|registered as constants)"


@contextmanager
def watch_specialization(roots: Sequence[str]) -> Iterator[list[Specialization]]:
    """A list that fills, inside of the block, with what exporters take for constant.

    torch.export runs forward with symbols for sizes, and logs what must hold for them; where that
    is less than was declared, torch.onnx exports again for those sizes alone, without a word.
    Tracing warns where Python reads a value out of a tensor. Both happen while the line at fault is
    being run.
    """
    found: list[Specialization] = []
    with _sizes(found, roots), _values(found, roots):
        yield found


@contextmanager
def _sizes(found: list[Specialization], roots: Sequence[str]) -> Iterator[None]:
    symbols: dict[str, str] = {}

    def listen(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if created := _CREATED.match(text):
            symbols[created[1]] = f"{created[2]}.shape[{created[3]}]"
        if (guarded := _GUARDED.match(text)) and "suppressed" not in text:
            sizes = [
                symbols[symbol] for symbol in re.findall(r"\w+", guarded[1]) if symbol in symbols
            ]
            held = re.sub(r"\w+", lambda word: symbols.get(word[0], word[0]), guarded[1])
            where = model_line("".join(traceback.format_stack()), roots)
            if sizes:
                _add(found, sizes[0].partition(".")[0], f"only where {held}", where)
        return record.levelno >= logging.WARNING  # a filter: the rest is not printed

    logger = logging.getLogger(_SYMBOLS)
    level = logger.level
    logger.addFilter(listen)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeFilter(listen)


@contextmanager
def _values(found: list[Specialization], roots: Sequence[str]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_TRACER)
        show = warnings.showwarning

        def listen(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            text = str(message)
            if re.match(_TRACER, text):
                where = model_line(f'File "{filename}", line {lineno}', roots)
                _add(found, "", text.partition(". ")[0], where)
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = listen
        yield


def _add(found: list[Specialization], name: str, what: str, where: str) -> None:
    specializations = Specialization(input=name, what=what, where=where)
    # A line of PyTorch's own was not written by the author, and is not at fault.
    if where and specializations not in found and len(found) < MAX_SPECIALIZATIONS:
        found.append(specializations)
