"""``onnxproof bench``: its arguments, and what it prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from flows.cli.arguments import Allow, Inputs, pairs
from flows.cli.error_output import progress_console, reported, write_file
from onnxproof.errors import BadInput

if TYPE_CHECKING:
    from onnxproof.commands.bench import Bench

Subject = Annotated[
    str,
    typer.Argument(help="models:/NAME/VERSION, models:/NAME@ALIAS, a proof's folder, a FILE.onnx."),
]


def bench(  # noqa: PLR0913  # a command's options
    model: Subject,
    *,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Time it beside this one, in turn.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="DIM=SIZE,...", help="A point to time at; may be repeated."),
    ] = None,
    inputs: Inputs = None,
    provider: Annotated[
        list[str] | None,
        typer.Option("--provider", metavar="NAME", help="Execution provider; may be repeated."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="For each point, all runners together.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of one operator.")] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Such as throughput.callers=[1,4]."),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="The plot; in the printed folder if left out.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything that was found here.")] = None,
    allow: Allow = None,
) -> None:
    """Time a model on this machine, alone or beside another: latency, memory, where time goes."""
    from flows.cli.display import watched
    from onnxproof.api import time_model
    from onnxproof.report.latency_plot import curves, save_png
    from onnxproof.spec import override

    with reported():
        providers = [{"name": name} for name in provider or ()] or None
        given = {"providers": providers, "seconds": seconds, "threads": threads}
        section: Any = override({}, values or ())
        section |= {name: value for name, value in given.items() if value is not None}
        with watched(progress_console):
            found = time_model(
                model,
                against=against,
                points=points(at),
                inputs=pairs(inputs),
                benchmark=section,
                allow=allow or (),
            )
        picture = png or found.folder / "latency.png"
        panels = curves(found.result, found.folder)
        try:
            save_png(found.result, panels, picture)
        except OSError as error:
            raise BadInput(f"cannot write {picture}: {error.strerror}") from None
        if json:
            write_file(json, found.result.model_dump_json(indent=2) + "\n")
        show_bench(Console(), found, panels, picture)


def points(options: Sequence[str] | None) -> tuple[dict[str, int], ...]:
    """Sizes by dim, one mapping an option.

    Raises:
        BadInput: One is not DIM=SIZE,DIM=SIZE.
    """
    found = []
    for option in options or ():
        try:
            sizes = {name: int(text) for name, text in pairs(option.split(",")).items()}
        except ValueError:
            raise BadInput(f"cannot read --at {option}; write --at batch=8,seq=128") from None
        if any(size < 1 for size in sizes.values()):
            raise BadInput(f"cannot time --at {option}: a size is at least 1")
        found.append(sizes)
    return tuple(found)


def show_bench(console: Console, found: Bench, panels: Any, picture: Path) -> None:
    """Tables, a plot for each place and shape, and where the rest is."""
    from onnxproof.report.latency import bench_sections
    from onnxproof.report.latency_plot import for_terminal

    for heading, text in bench_sections(found.result):
        _show_table(console, heading, text)
    for plot in for_terminal(panels, console.width, colored=console.is_terminal):
        console.file.write(plot + "\n")
    _show_lines(console, (f"plot     {picture}", f"samples  {found.folder}/benchmark.parquet"))


def _show_table(console: Console, heading: str, text: str) -> None:
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(f"## {heading}\n\n{text}"))
    else:
        console.file.write(f"## {heading}\n\n{text}\n\n")


def _show_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
