"""The program ``onnxproof``; everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from flows.cli.arguments import Allow, Dims, Inputs, Model, NamedSource, Values, pairs, ranges
from flows.cli.bench import bench
from flows.cli.error_output import (
    interruption,
    progress_console,
    reported,
    short_exit,
    write_file,
    write_outcome,
)
from onnxproof.errors import BadInput, ExportError
from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    from onnxproof.records import ExportOutcome

EPILOG = "Exit codes: 0 proven or unchanged, 2 bad input, 3 a stage failed, 4 refused, 5 a server does not answer, 130 Ctrl-C, 1 a bug."  # noqa: E501  # typer breaks it to the terminal's width

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EPILOG,
)
console = Console()


def _version(asked: bool) -> None:
    if asked:
        from onnxproof.proof.versions import flow_version

        sys.stdout.write(flow_version() + "\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print it and end."),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show Prefect's log.")] = False,
) -> None:
    """A PyTorch model becomes a registered ONNX model version that carries its proof."""
    if not verbose:
        # At ERROR Prefect prints a traceback for every refusal; the paragraph says it all.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # 20 s by default; on a busy machine the temporary server takes longer to import itself.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")


@app.command()
def export(
    model: Model,
    *,
    inputs: Inputs = None,
    dims: Dims = None,
    values: Values = None,
    allow: Allow = None,
    promote: Annotated[
        Literal["auto", "never"] | None,
        typer.Option(
            help="Whether a proven version becomes champion; the spec's own word if left out."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Prove and register again although nothing changed.")
    ] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the outcome here, also of a run that failed.")
    ] = None,
) -> None:
    """Export a model to ONNX, prove the file against PyTorch, and register it."""
    from flows.cli.display import show_outcome, watched
    from onnxproof.pipeline.plan import override_lines

    with reported(json):
        lines = [*override_lines(pairs(inputs), ranges(dims)), *(values or ())]
        with watched(progress_console):
            outcome = _run_flow(model, lines, promote, allow or (), force=force)
        if json:
            write_outcome(json, outcome)
        show_outcome(console, outcome)


@app.command()
def init(
    model: NamedSource,
    *,
    inputs: Inputs = None,
    dims: Dims = None,
    values: Values = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The spec file to write; never replaced.")
    ] = None,
    allow: Allow = None,
) -> None:
    """Build a model, find out what its forward takes, and write a first spec."""
    from flows.cli.display import watched
    from onnxproof.api import first_spec
    from onnxproof.pipeline.resolve_spec import name_for

    with reported():
        path = output or Path(f"{name_for(model)}.yaml")
        if path.exists():
            raise BadInput(f"{path} is there already; choose another with -o, or remove it")
        with watched(progress_console):
            text = first_spec(
                model,
                overrides=values or (),
                inputs=pairs(inputs),
                dims=ranges(dims),
                allow=allow or (),
            )
        write_file(path, text)
        console.print(f"{path} written. Look at it, then: onnxproof export {path}", highlight=False)


@app.command()
def operators(
    model: Model,
    *,
    strategy: Annotated[
        StrategyName | None,
        typer.Option(help="Ask this one; all of the spec's if left out."),
    ] = None,
    inputs: Inputs = None,
    dims: Dims = None,
    values: Values = None,
    allow: Allow = None,
    json: Annotated[bool, typer.Option("--json", help="The reports as JSON.")] = False,
) -> None:
    """List a model's PyTorch operators, what becomes of each, and all that have no translation."""
    from flows.cli.display import show_operators, watched
    from onnxproof.api import list_operators

    with reported():
        with watched(progress_console):
            reports = list_operators(
                model,
                strategies=[strategy] if strategy else (),
                overrides=values or (),
                inputs=pairs(inputs),
                dims=ranges(dims),
                allow=allow or (),
            )
        if json:
            lines = ",\n".join(report.model_dump_json(indent=2) for report in reports)
            sys.stdout.write(f"[{lines}]\n")
        else:
            show_operators(console, reports)
        if all(report.fault for report in reports):
            raise typer.Exit(ExportError.exit_code)


@app.command()
def verify(
    model: Annotated[
        str, typer.Argument(help="models:/NAME/VERSION, models:/NAME@ALIAS, or a folder.")
    ],
    provider: Annotated[
        str, typer.Option(help="Execution provider to replay on, by its full name.")
    ] = "CPUExecutionProvider",
    libraries: Annotated[
        list[str] | None,
        typer.Option("--library", metavar="FILE", help="Operators for ONNX Runtime, as needed."),
    ] = None,
) -> None:
    """Replay a model's proof on this machine."""
    from onnxproof.api import verify_model

    with reported():
        for line in verify_model(model, provider=provider, libraries=libraries or ()).lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)


app.command()(bench)


@app.command()
def show(
    model: Annotated[
        str, typer.Argument(help="models:/NAME/VERSION, models:/NAME@ALIAS, or a folder.")
    ],
    json: Annotated[bool, typer.Option("--json", help="The proof as it was saved.")] = False,
) -> None:
    """Show a model's proof: verdicts, numbers, versions."""
    from onnxproof.api import show_model
    from onnxproof.report.proof import render_proof

    with reported():
        proof, registration = show_model(model)
        folder = Path(model) if registration is None else None
        if json:
            sys.stdout.write(proof.model_dump_json(indent=2) + "\n")
        elif console.is_terminal:
            from rich.markdown import Markdown

            console.print(Markdown(render_proof(proof, registration, folder)))
        else:
            sys.stdout.write(render_proof(proof, registration, folder))


@app.command()
def doctor() -> None:
    """Say what works on this machine: versions, execution providers, servers, folders."""
    from onnxproof.api import examine_machine

    marks = {"good": "[green]good[/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}
    with reported():
        findings = examine_machine()
        for finding in findings:
            console.print(
                f"{marks[finding.outcome]} [bold]{finding.name}[/] ", end="", highlight=False
            )
            console.print(finding.text, highlight=False, markup=False, soft_wrap=True)
        if worst := max((finding.exit_code for finding in findings), default=0):
            raise typer.Exit(worst)


def main() -> None:
    """The console entry point."""
    interruption.install()
    sys.argv[0] = "onnxproof"
    with short_exit():
        app()


def _run_flow(
    model: str, overrides: Sequence[str], promote: str | None, allow: Sequence[str], *, force: bool
) -> ExportOutcome:
    from onnxproof.pipeline.plan import make_plan, start_children_early
    from onnxproof.progress import say
    from onnxproof.settings import apply_environment, read_settings, require_servers, shown_url

    settings = read_settings(allow=allow)
    apply_environment(settings)
    replaced = [*overrides, *([f"promote={promote}"] if promote else [])]
    # A bad spec is known before Prefect starts, and the flow takes this plan.
    plan = make_plan(model, replaced, settings, local_code=True)
    require_servers(settings)
    _make(settings.home)
    start_children_early(plan, force=force)
    server = settings.prefect_api_url
    say("prefect", f"start the flow on {shown_url(server) if server else 'a temporary Prefect'}")
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.export_model import Promotion, export_model, planned

    # Whoever started it sees it end. The thread that sends the heartbeats sleeps in whole seconds
    # and is waited for.
    with planned(plan), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        outcome: ExportOutcome = export_model(  # type: ignore[assignment]  # Prefect unpacks it
            model,
            promotion=Promotion(promote or "from_spec"),
            overrides=tuple(overrides),
            force=force,
        )
    return outcome


def _make(home: Path) -> None:
    """Make the home folder: Prefect makes its own below it, and no parents."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cannot make the folder {home}: {error.strerror}; "
            "set ONNXPROOF_HOME to a folder that can be written"
        ) from None
