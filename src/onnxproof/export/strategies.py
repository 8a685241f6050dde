"""The registry of strategies, and the opset that each is asked for."""

from __future__ import annotations

from typing import Final

from onnxproof.errors import ExportError, SpecError
from onnxproof.export.dynamo import DYNAMO
from onnxproof.export.strategy import Strategy
from onnxproof.export.torchscript import SCRIPT, TRACE
from onnxproof.graph.opset import newest_in
from onnxproof.spec import Export, StrategyName

STRATEGIES: Final[dict[StrategyName, Strategy]] = {
    strategy.name: strategy for strategy in (DYNAMO, TRACE, SCRIPT)
}


def choose_opset(export: Export, name: StrategyName) -> tuple[int, int]:
    """The opset to ask a strategy for, and the newest IR version the graph may have.

    ``auto`` is the newest that both the strategy builds and ``min_onnxruntime`` loads. That a graph
    loads is tried in the installed ONNX Runtime by the check; for an older one the table is taken.

    Raises:
        SpecError: The opset asked for is newer than ``min_onnxruntime`` loads.
        ExportError: The strategy does not build that opset; another may.
    """
    strategy = STRATEGIES[name]
    newest_opset, newest_ir = newest_in(export.min_onnxruntime)
    if export.opset == "auto":
        return min(newest_opset, strategy.highest_opset), newest_ir
    if export.opset > newest_opset:
        raise SpecError(
            f"export.opset {export.opset} is newer than ONNX Runtime {export.min_onnxruntime} "
            f"loads (opset {newest_opset}); lower it, or raise export.min_onnxruntime"
        )
    if not strategy.builds(export.opset):
        others = [other.name for other in STRATEGIES.values() if other.builds(export.opset)]
        low = export.opset < strategy.lowest_opset
        raise ExportError(
            f"{name} builds "
            + (
                f"opset {strategy.lowest_opset} and later"
                if low
                else f"opsets up to {strategy.highest_opset}"
            )
            + f", export.opset is {export.opset}; {'raise' if low else 'lower'} it, or take "
            f"strategy {' or '.join(others)}"
        )
    return export.opset, newest_ir
