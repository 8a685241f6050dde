"""The public functions: what the command line does, from Python and without Prefect.

They raise the errors of ``onnxproof.errors`` and read the same environment as the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from onnxproof.records import ExportOutcome, OperatorReport, Proof, Registration
from onnxproof.settings import Settings, apply_environment, read_settings, require_servers
from onnxproof.spec import Spec, StrategyName

if TYPE_CHECKING:
    from onnxproof.commands.bench import Bench
    from onnxproof.commands.doctor import Finding
    from onnxproof.proof.verify import Replay


def export_model(
    model: str | Path | Spec,
    *,
    overrides: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    dims: Mapping[str, tuple[int, int]] | None = None,
    allow: Sequence[str] = (),
    promote: Literal["auto", "never"] | None = None,
    force: bool = False,
) -> ExportOutcome:
    """Export a model, prove the file, register it: the chain of the flow, without Prefect.

    Args:
        model: A spec, a spec file, a name of the catalog, or a source (``module:callable``,
            ``torchscript:net.pt`` ...) with ``inputs``.
        overrides: Values of the spec to replace, ``a.b=value`` each.
        inputs: Input name to a line such as ``"float32[batch, 3, 224, 224]"``.
        dims: Dim name to its smallest and largest size.
        allow: Packages whose code may be loaded, besides those of ``ONNXPROOF_ALLOW``.
        promote: Whether a proven version becomes champion; None does what the spec says.
        force: Prove and register again although nothing has changed.

    Raises:
        BadInput: The spec, a file or an argument cannot be used.
        StageError: A stage did not finish.
        PromotionRefused: The version is registered, and a gate keeps it from becoming champion.
        Refused: Another gate said no; nothing was registered.
        ServerUnreachable: MLflow does not answer.
    """
    from onnxproof.pipeline.direct import DirectStages
    from onnxproof.pipeline.outcome import refuse_withheld
    from onnxproof.pipeline.plan import make_plan, override_lines
    from onnxproof.pipeline.run import run_stages

    settings = _settings(allow)
    require_servers(settings)
    lines = [*override_lines(inputs, dims), *overrides]
    if promote is not None:
        lines.append(f"promote={promote}")
    named = model if isinstance(model, Spec) else str(model)
    plan = make_plan(named, lines, settings, local_code=True)
    ended = run_stages(plan, DirectStages(), force=force)
    refuse_withheld(ended)
    return ended


def first_spec(
    model: str,
    *,
    overrides: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    dims: Mapping[str, tuple[int, int]] | None = None,
    allow: Sequence[str] = (),
) -> str:
    """YAML of a spec for a source, whose forward was seen to run with it.

    Args:
        model: ``module:callable``, or ``KIND:TARGET`` for another kind, as ``torchscript:net.pt``.
        overrides: Values of the spec besides, ``a.b=value`` each.
        inputs: Input name to a line such as ``"float32[batch, 3, 224, 224]"``; guessed if left out.
        dims: Dim name to its smallest and largest size.
        allow: Packages whose code may be loaded, besides those of ``ONNXPROOF_ALLOW``.

    Raises:
        SpecError: ``model`` names no source, or a value is not valid.
        SourceError: The source's code or file is not there, or is not allowed.
        LoadError: The source failed, or forward took none of the inputs that were tried.
        ServerUnreachable: MLflow has the model and does not answer.
    """
    from onnxproof.commands import init_spec

    ranges = {name: {"min": low, "max": high} for name, (low, high) in (dims or {}).items()}
    settings = _settings(allow)
    roots = (str(Path.cwd()),)
    return init_spec.first_spec(
        model, inputs or {}, roots, settings.allow, dims=ranges, overrides=overrides
    )


def list_operators(
    model: str | Path | Spec,
    *,
    strategies: Sequence[StrategyName] = (),
    overrides: Sequence[str] = (),
    inputs: Mapping[str, str] | None = None,
    dims: Mapping[str, tuple[int, int]] | None = None,
    allow: Sequence[str] = (),
) -> tuple[OperatorReport, ...]:
    """The PyTorch operators of a model, and the ONNX operators that each strategy makes of them.

    Args:
        model: As for ``export_model``.
        strategies: Which to ask; all of the spec's when empty.
        overrides: Values of the spec to replace, ``a.b=value`` each.
        inputs: Input name to a line such as ``"float32[batch, 3, 224, 224]"``.
        dims: Dim name to its smallest and largest size.
        allow: Packages whose code may be loaded, besides those of ``ONNXPROOF_ALLOW``.

    Raises:
        BadInput: The spec, a file or an argument cannot be used.
        LoadError: The model could not be built.
    """
    from onnxproof.commands import operators
    from onnxproof.pipeline.plan import make_plan, override_lines, start_children

    settings = _settings(allow)
    lines = [*override_lines(inputs, dims), *overrides]
    named = model if isinstance(model, Spec) else str(model)
    plan = make_plan(named, lines, settings, local_code=True)
    start_children(plan)
    asked = strategies or plan.spec.export.strategies
    return operators.list_operators(plan.spec, plan.roots, settings.allow, asked)


def verify_model(
    model: str, *, provider: str = "CPUExecutionProvider", libraries: Sequence[str] = ()
) -> Replay:
    """Replay a model's proof on this machine.

    Args:
        model: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, or a folder that holds the proof.
        provider: Execution provider, by its full name.
        libraries: Files with operators that the model needs and ONNX Runtime has not itself.

    Raises:
        ProofRefused: The numbers are not those of the proof.
    """
    from onnxproof.commands.verify import verify

    _settings()
    return verify(model, provider=provider, libraries=libraries)


def time_model(
    model: str,
    *,
    against: str | None = None,
    points: Sequence[Mapping[str, int]] = (),
    inputs: Mapping[str, str] | None = None,
    benchmark: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
) -> Bench:
    """Time a model on this machine, alone or in turn with another.

    Args:
        model: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, a folder that holds a proof, or an
            ONNX file.
        against: Another one, which takes the same inputs; ratios are of ``model`` over it.
        points: Sizes to time at; those of the proof if left out. A file whose dims are free needs
            one.
        inputs: Lines for the inputs of a file: ``int64[batch, seq] in 0..999``.
        benchmark: What is to differ from the proof's own section ``benchmark``.
        allow: Packages whose code may be loaded: plug-ins, libraries of operators.

    Raises:
        BadInput: There is no such model, or the two do not take the same inputs.
    """
    from onnxproof.commands.bench import Asked, bench

    sizes = tuple(dict(point) for point in points)
    asked = Asked(model, against, sizes, inputs or {}, benchmark or {})
    return bench(asked, _settings(allow))


def show_model(model: str) -> tuple[Proof, Registration | None]:
    """A model's proof, and where it is registered; for a folder the proof alone."""
    from onnxproof.proof.manifest import read_proof
    from onnxproof.tracking import describe

    if (path := Path(model, "proof.json")).is_file():
        return read_proof(path), None
    _settings()
    return describe(model)


def examine_machine() -> tuple[Finding, ...]:
    """What works here and what does not: versions, execution providers, servers, folders."""
    from onnxproof.commands.doctor import examine

    return examine(read_settings())


def _settings(allow: Sequence[str] = ()) -> Settings:
    settings = read_settings(allow=allow)
    apply_environment(settings)
    return settings
