"""Ways out of PyTorch: ``dynamo`` (torch.export), ``trace`` and ``script`` (TorchScript)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.errors import ExportError
from onnxproof.export.exporter import run_exporter
from onnxproof.export.operators.report_file import save_report
from onnxproof.isolation.child import run_in_child
from onnxproof.records import Candidate, Loaded, Specialization, Work, label_of
from onnxproof.spec import Spec, Strategy

if TYPE_CHECKING:
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.graph.external_data import Exported


class ExportRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    loaded: Loaded
    strategy: Strategy
    variant: str = ""  # of source.variants; empty for the declared source


class _Made(NamedTuple):
    """One graph out of an exporter, and what was seen on the way."""

    exported: Exported
    log: OperatorLog
    specializations: tuple[Specialization, ...]


def export_onnx(
    spec: Spec, work: Work, loaded: Loaded, strategy: Strategy, variant: str = ""
) -> Candidate:
    """The graph that one strategy gives, saved; nothing is claimed of its numbers.

    Raises:
        ExportError: The strategy gave no graph, with the reason in the exporter's words; or the
            variant of the source has other weights.
        SpecError: ``export.opset`` is newer than the declared runtime loads.
    """
    label = label_of(strategy, variant=variant)
    return run_in_child(
        export_in_child,
        ExportRequest(spec, work, loaded, strategy, variant),
        failed=ExportError,
        limits=spec.limits,
        log=Path(work.path("logs", f"export-{label}.log")),
        doing=f"export by {label}",
    )


def export_in_child(request: ExportRequest) -> Candidate:
    """In the child: build the module again, export it, name its dims, stamp it, save it."""
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.specialization import watch_specialization
    from onnxproof.export.workarounds import try_workarounds
    from onnxproof.graph.contract import check_contract
    from onnxproof.graph.external_data import SUFFIX, store
    from onnxproof.graph.finalize import name_dims, save_candidate, stamp, strip_source_notes
    from onnxproof.graph.opset import choose_opset
    from onnxproof.graph.source_map import save_source_map
    from onnxproof.source.variant import build_variant

    spec, work, loaded, strategy, variant = request
    start = time.monotonic()
    opset, ir_version = choose_opset(spec.export, strategy)
    outputs = [output.name for output in loaded.reference.outputs]
    source = build_variant(spec, work, variant, loaded.weights_sha256)

    def make() -> _Made:
        log = OperatorLog(strategy, opset, work.roots)
        with watch_specialization(work.roots) as specializations:
            exported = run_exporter(source, work, strategy, outputs, log)
        name_dims(exported.model.graph.input, loaded.reference.inputs)
        name_dims(exported.model.graph.output, loaded.reference.outputs)
        return _Made(exported, log, tuple(specializations))

    def sound(attempt: _Made) -> bool:
        return check_contract(attempt.exported.model.graph, loaded.reference).outcome == "passed"

    made, workarounds = try_workarounds(make, sound, source.model, spec)
    exported, log, specializations = made
    model = exported.model
    model.ir_version = min(model.ir_version, ir_version)
    label = label_of(strategy, variant=variant)
    modules = [name for name, _ in source.model.named_modules()]
    save_source_map(model, work, label, modules, log.outer)
    strip_source_notes(model)
    stamp(model, work.metadata)
    candidate = save_candidate(
        model,
        work,
        strategy=strategy,
        simplifier="none",
        variant=variant,
        seconds=time.monotonic() - start,
        weights=store(exported, work, f"{label}{SUFFIX}"),
    )
    save_report(log.report(), work, candidate.label)
    return candidate.model_copy(
        update={"specializations": specializations, "workarounds": workarounds}
    )
