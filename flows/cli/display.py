"""What a person sees of a run: stages with their times, then a short summary or one paragraph."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from onnxproof.errors import OnnxproofError, Refused, StageError
from onnxproof.progress import Step, listen

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from onnxproof.records import ExportOutcome, OperatorReport

SECONDS_BETWEEN: Final = 5.0
"""Of lines about one stage where there is no terminal to draw on."""
LABEL_WIDTH: Final = 10


@dataclass(slots=True)
class _Row:
    step: Step
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started


class StageRows:
    """Rows of a live display; a step without a total begins a row, one with a total fills it."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def __call__(self, step: Step) -> None:
        """Begin a row, or count on in the last one."""
        if step.total and self._rows and self._rows[-1].step.stage == step.stage:
            self._rows[-1].step = self._rows[-1].step._replace(done=step.done, total=step.total)
            return
        self.end()
        self._rows.append(_Row(step))

    def end(self) -> None:
        """The last row is over."""
        if self._rows and self._rows[-1].ended is None:
            self._rows[-1].ended = time.monotonic()

    def __rich__(self) -> Table:
        from rich.spinner import Spinner
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for row in self._rows:
            over = row.ended is not None
            count = f"{row.step.done}/{row.step.total}" if row.step.total and not over else ""
            mark = "[green]·[/]" if over else Spinner("dots", style="cyan")
            table.add_row(mark, row.step.text, f"[dim]{row.seconds:6.1f} s[/]", f"[dim]{count}[/]")
        return table


class Lines:
    """Plain lines for a log: one when a stage begins, and now and then one while it counts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown_at = 0.0

    def __call__(self, step: Step) -> None:
        """Print a line, unless one about the same was printed just now."""
        now = time.monotonic()
        if step.total and now - self._shown_at < SECONDS_BETWEEN:
            return
        self._shown_at = now
        count = f" ({step.done}/{step.total})" if step.total else ""
        self._console.print(f"{step.text}{count}", highlight=False, markup=False)


@contextmanager
def watched(console: Console) -> Iterator[None]:
    """Show every step that is said inside of the block."""
    if not console.is_terminal:
        with listen(Lines(console)):
            yield
        return
    from rich.live import Live

    stages = StageRows()
    with Live(stages, console=console, refresh_per_second=8), listen(stages):
        try:
            yield
        finally:
            stages.end()


def show_outcome(console: Console, outcome: ExportOutcome) -> None:
    """The summary of a run that ended well."""
    from onnxproof.report.proof import summarize

    registration = outcome.registration
    version = f" version {registration.version}" if registration else ""
    console.print(
        f"[bold green]{outcome.status}[/] [bold]{outcome.name}{version}[/]", highlight=False
    )
    for label, text in summarize(outcome):
        console.print(f"  [dim]{label:<{LABEL_WIDTH}}[/] ", end="", highlight=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def show_operators(console: Console, reports: Sequence[OperatorReport]) -> None:
    """A table for each strategy on a terminal; elsewhere a line for each operator, with tabs."""
    from rich.table import Table

    from onnxproof.report.operators import operator_notes, operator_rows

    for report in reports:
        opset = f" at opset {report.opset}" if report.opset else ""
        console.print(f"[bold]{report.strategy}[/]{opset}", highlight=False)
        rows = operator_rows(report)
        if console.is_terminal and rows:
            table = Table(*rows[0])
            for operator, row in zip(report.operators, rows, strict=True):
                style = "red" if operator.fault else None
                table.add_row(*map(str, row.values()), style=style)
            console.print(table, markup=False)
        elif rows:
            lines = ["\t".join(map(str, row.values())) for row in rows]
            console.file.write("\n".join(lines) + "\n")  # rich would make spaces of the tabs
        for note in (*operator_notes(report), *filter(None, [report.fault])):
            console.print(note, highlight=False, markup=False, soft_wrap=True)


def show_error(console: Console, error: OnnxproofError) -> None:
    """One paragraph, and for a stage that broke the last it printed."""
    word = "refused" if isinstance(error, Refused) else "error"
    console.print(f"[bold red]{word}[/] ", end="", highlight=False)
    console.print(str(error), highlight=False, markup=False, soft_wrap=True)
    if isinstance(error, StageError) and error.log_tail:
        console.print(error.log_tail, style="dim", highlight=False, markup=False, soft_wrap=True)
