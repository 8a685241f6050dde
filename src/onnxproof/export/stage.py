"""The stage export: one graph by one strategy, saved in the work folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.errors import ExportError
from onnxproof.export.operators.report_file import save_report
from onnxproof.isolation.child import run_in_child
from onnxproof.progress import say
from onnxproof.records import Candidate, Run, Specialization, label_of
from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.workarounds import Workaround
    from onnxproof.graph.external_data import Exported
    from onnxproof.source.module import SourceModule


class _Made(NamedTuple):
    """One graph out of an exporter, and what was seen on the way."""

    exported: Exported
    log: OperatorLog
    specializations: tuple[Specialization, ...]
    workarounds: tuple[str, ...]
    sound: bool  # whether it keeps inputs, outputs and dims as declared


def export_onnx(run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
    """The graph that one strategy gives, saved; nothing is claimed of its numbers.

    Args:
        run: The model.
        strategy: The way out of PyTorch.
        variant: Of ``source.variants``; empty for the declared source.

    Raises:
        ExportError: The strategy gave no graph, with the reason in the exporter's words; or the
            variant of the source has other weights.
        SpecError: ``export.opset`` is newer than the declared runtime loads.
    """
    label = label_of(strategy, variant=variant)
    return run_in_child(
        export_in_child,
        run,
        strategy,
        variant,
        failed=ExportError,
        limits=run.spec.limits,
        log=Path(run.work.path("logs", f"export-{label}.log")),
        doing=f"export by {label}",
    )


def export_in_child(run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
    """In the child: build the module again, export it, name its dims, stamp it, save it."""
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.strategies import choose_opset
    from onnxproof.export.workarounds import tries
    from onnxproof.graph.external_data import SUFFIX, store
    from onnxproof.graph.finalize import save_candidate, stamp, strip_source_notes
    from onnxproof.graph.source_map import save_source_map
    from onnxproof.source.variant import build_variant

    work, start = run.work, time.monotonic()
    opset, ir_version = choose_opset(run.spec.export, strategy)
    source = build_variant(run.spec, work, variant, run.loaded.weights_sha256)
    made: _Made | None = None
    first_error: ExportError | None = None
    for number, workarounds in enumerate(tries(source.model)):
        names = ", ".join(workaround.name for workaround in workarounds)
        if number:
            say("export", f"again with {names}")
        log = OperatorLog(strategy, opset, work.roots)
        try:
            found = _export_with(workarounds, run, source, strategy, log)
        except ExportError as error:
            first_error = first_error or error
            print(f"export with {names or 'no workaround'}: {error}")  # noqa: T201  # the log
            continue
        made = found if made is None or found.sound else made
        if found.sound:
            break
    if made is None:
        assert first_error is not None
        raise first_error
    model = made.exported.model
    model.ir_version = min(model.ir_version, ir_version)
    label = label_of(strategy, variant=variant)
    modules = [name for name, _ in source.model.named_modules()]
    save_source_map(model, work, label, modules, made.log.outer)
    strip_source_notes(model)
    stamp(model, work.metadata)
    candidate = save_candidate(
        model,
        work,
        strategy=strategy,
        simplifier="none",
        variant=variant,
        seconds=time.monotonic() - start,
        weights=store(made.exported, work, f"{label}{SUFFIX}"),
    )
    save_report(made.log.report(), work, candidate.label)
    noted = {"specializations": made.specializations, "workarounds": made.workarounds}
    return candidate.model_copy(update=noted)


def _export_with(
    workarounds: Sequence[Workaround],
    run: Run,
    source: SourceModule,
    strategy: StrategyName,
    log: OperatorLog,
) -> _Made:
    """One try; the module is as before afterwards."""
    from onnxproof.check.contract import check_contract
    from onnxproof.export.exporter import run_exporter
    from onnxproof.export.specialization import watch_specialization
    from onnxproof.graph.finalize import name_dims

    reference = run.loaded.reference
    outputs = [output.name for output in reference.outputs]
    with ExitStack() as stack:
        for workaround in workarounds:
            stack.enter_context(workaround.applied(source.model, run.spec))
        specializations = stack.enter_context(watch_specialization(run.work.roots))
        exported = run_exporter(source, run.work, strategy, outputs, log)
    name_dims(exported.model.graph.input, reference.inputs)
    name_dims(exported.model.graph.output, reference.outputs)
    sound = check_contract(exported.model.graph, reference).outcome == "passed"
    names = tuple(workaround.name for workaround in workarounds)
    return _Made(exported, log, tuple(specializations), names, sound)
