"""Which opset and IR version a declared minimum ONNX Runtime accepts."""

from __future__ import annotations

from typing import Final

from onnxproof.errors import ExportError, SpecError
from onnxproof.spec import Export, Strategy

_SUPPORT: Final = {
    (1, 14): (18, 8),
    (1, 15): (19, 9),
    (1, 17): (20, 9),
    (1, 18): (21, 10),
    (1, 21): (22, 10),
    (1, 23): (23, 11),
    (1, 24): (25, 13),
    (1, 25): (26, 13),
    (1, 32): (28, 14),
}
"""Newest opset and IR version by minor version, from the first release that has them.

Tried: a graph of one Relu at every opset and IR version, loaded in 1.15.1, 1.16.3, 1.17.3, 1.18.1,
1.19.2, 1.20.1, 1.21.1, 1.22.1, 1.23.2, 1.24.4, 1.25.0, 1.26.0, 1.27.0, 1.29.0, 1.31.1 and 1.32.0.
1.14 has no wheel for Python 3.11; its row is that of "ONNX opset support" on
onnxruntime.ai/docs/reference/compatibility.html.
"""
DYNAMO_LOWEST: Final = 18
"""torch 2.13's exporter builds opset 18 or later; below it converts down, which often fails."""
DYNAMO_HIGHEST: Final = 23
"""``ONNX_MAX_OPSET`` of torch 2.13: what its exporter is tested with."""
TRACED_HIGHEST: Final = 20
"""``ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET`` of torch 2.13; later ones are not refused, nor right."""


def choose_opset(export: Export, strategy: Strategy) -> tuple[int, int]:
    """The opset to ask ``strategy`` for, and the newest IR version the graph may have.

    ``auto`` is the newest that both the strategy builds and ``min_onnxruntime`` loads. That a graph
    loads is tried in the installed ONNX Runtime by the check; for an older one the table stands.

    Raises:
        SpecError: The opset asked for is newer than ``min_onnxruntime`` loads.
        ExportError: The strategy does not build that opset; another may.
    """
    newest_opset, newest_ir = newest_in(export.min_onnxruntime)
    if export.opset == "auto":
        highest = DYNAMO_HIGHEST if strategy == "dynamo" else TRACED_HIGHEST
        return min(newest_opset, highest), newest_ir
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


def newest_in(min_onnxruntime: str) -> tuple[int, int]:
    """The newest opset and IR version that this ONNX Runtime loads.

    Raises:
        SpecError: It is older than PyTorch's exporters build for.
    """
    wanted = tuple(int(part) for part in min_onnxruntime.split("."))
    known = [version for version in _SUPPORT if version <= wanted]
    if not known:
        oldest = ".".join(map(str, min(_SUPPORT)))
        raise SpecError(
            f"export.min_onnxruntime {min_onnxruntime} is below {oldest}, the oldest whose "
            "opsets PyTorch's exporters build; raise it"
        )
    return _SUPPORT[max(known)]
