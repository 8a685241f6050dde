"""Which opset and IR version a declared minimum ONNX Runtime accepts."""

from __future__ import annotations

from typing import Final

from onnxproof.errors import ExportError, SpecError
from onnxproof.spec import Export, Strategy

# ONNX Runtime's compatibility table (onnxruntime.ai, "ONNX opset support"), by minor version.
_SUPPORT: Final = {
    (1, 14): (18, 8),
    (1, 15): (19, 8),
    (1, 16): (19, 9),
    (1, 17): (20, 9),
    (1, 18): (21, 10),
}
DYNAMO_LOWEST: Final = 18
"""torch 2.13's exporter builds opset 18 or later; below it converts down, which often fails."""
TRACED_HIGHEST: Final = 20
"""torch 2.13: the TorchScript exporter is supported to opset 20; later ones are not enforced."""


def choose_opset(export: Export, strategy: Strategy) -> tuple[int, int]:
    """The opset to ask ``strategy`` for, and the newest IR version the graph may have.

    ``auto`` is one opset for all strategies, so that their graphs differ in nothing else.

    Raises:
        SpecError: The opset asked for is newer than ``min_onnxruntime`` loads.
        ExportError: The strategy does not build that opset; another may.
    """
    wanted = tuple(int(part) for part in export.min_onnxruntime.split("."))
    known = [version for version in _SUPPORT if version <= wanted]
    if not known:
        oldest = ".".join(map(str, min(_SUPPORT)))
        raise SpecError(
            f"export.min_onnxruntime {export.min_onnxruntime} is below {oldest}, the oldest whose "
            "opsets PyTorch's exporters build; raise it"
        )
    newest_opset, newest_ir = _SUPPORT[max(known)]
    if export.opset == "auto":
        return min(newest_opset, TRACED_HIGHEST), newest_ir
    if export.opset > newest_opset:
        raise SpecError(
            f"export.opset {export.opset} is newer than ONNX Runtime {export.min_onnxruntime} "
            f"loads (opset {newest_opset}); lower it, or raise export.min_onnxruntime"
        )
    if strategy == "dynamo" and export.opset < DYNAMO_LOWEST:
        raise ExportError(
            f"dynamo builds opset {DYNAMO_LOWEST} and later, export.opset is {export.opset}; "
            "raise it, or take strategies trace and script"
        )
    if strategy != "dynamo" and export.opset > TRACED_HIGHEST:
        raise ExportError(
            f"{strategy} builds opsets up to {TRACED_HIGHEST}, export.opset is {export.opset}; "
            "lower it, or take strategy dynamo"
        )
    return export.opset, newest_ir
