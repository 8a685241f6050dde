"""Which PyTorch operators a model has, what became of each, and which have no translation."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from onnxproof.errors import ExportError
from onnxproof.isolation.child import run_in_child
from onnxproof.records import OperatorReport, Work
from onnxproof.spec import Spec, StrategyName


def list_operators(
    spec: Spec,
    roots: Sequence[str],
    allow: Sequence[str],
    strategies: Sequence[StrategyName],
    *,
    local_code: bool = True,
) -> tuple[OperatorReport, ...]:
    """The operators of a model by each of ``strategies``; nothing is proven or kept.

    Args:
        spec: Names the model, its inputs and its dims.
        roots: Folders whose modules may be imported.
        allow: Packages that may be imported.
        strategies: In this order.
        local_code: Whether the roots' own modules are allowed.

    Raises:
        SourceError: The model's code is not allowed or not there.
        LoadError: The model could not be built.
    """
    with tempfile.TemporaryDirectory(prefix="onnxproof-operators-") as folder:
        work = Work(
            folder=folder,
            roots=tuple(roots),
            allow=tuple(allow),
            metadata={},
            local_code=local_code,
        )
        return tuple(_ask(spec, work, strategy) for strategy in strategies)


def _ask(spec: Spec, work: Work, strategy: StrategyName) -> OperatorReport:
    try:
        return run_in_child(
            operators_in_child,
            spec,
            work,
            strategy,
            failed=ExportError,
            limits=spec.limits,
            log=Path(work.path(f"operators-{strategy}.log")),
            doing=f"list the operators by {strategy}",
        )
    except ExportError as error:  # another strategy may do better
        return OperatorReport(strategy=strategy, operators=(), fault=str(error))


def operators_in_child(spec: Spec, work: Work, strategy: StrategyName) -> OperatorReport:
    """In the child: export, and give what the exporter told, also where it failed at the end."""
    from onnxproof.export.exporter import run_exporter
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.strategies import choose_opset
    from onnxproof.source.module import build_module

    fault = ""
    opset, _ = choose_opset(spec.export, strategy)
    log = OperatorLog(strategy, opset, work.roots)
    try:
        run_exporter(build_module(spec, work), work, strategy, [], log)
    except ExportError as error:
        fault = str(error)
    return log.report(fault)
