"""The operators of a TorchScript graph, watched while PyTorch translates them one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from onnxproof.export.operators.dynamo import onnx_name
from onnxproof.export.operators.log import NO_TRANSLATION, OperatorLog, raise_ours, replaced
from onnxproof.graph.traversal import every_node

if TYPE_CHECKING:
    import onnx
    import torch

UNKNOWN: Final = (
    "ONNX operators are counted as translated, before PyTorch folds constants and fuses; "
    "of a library's operator the line may be that of PyTorch"
)


@contextmanager
def watched(log: OperatorLog) -> Iterator[None]:
    """Log each operator that TorchScript's exporter translates inside of the block.

    One without a translation stays in the graph as it is, so that the others are reached too, and
    all are refused at the end. PyTorch's C++ looks the wrapped function up by its name for every
    operator; nothing else tells which ONNX nodes an operator became.

    Raises:
        ExportError: Operators have no translation, or the translation of one raised.
    """
    from torch.onnx import errors
    from torch.onnx._internal.torchscript_exporter import utils

    translate = utils._run_symbolic_function

    def translate_and_log(
        graph: Any, block: Any, node: torch._C.Node, inputs: Any, env: Any, seen: Any, made: Any,
        *rest: Any,
    ) -> Any:  # fmt: skip
        kind = node.kind()
        operator = not kind.startswith(("prim::", "onnx::"))
        if operator:
            log.found(kind, _module_of(node), str(node.sourceRange()))
        before = len(made)
        try:
            value = translate(graph, block, node, inputs, env, seen, made, *rest)
        except errors.UnsupportedOperatorError as error:
            if not operator:
                raise
            log.untranslated(kind, _fault(error))
            return None
        for onnx_node in made[before:]:
            domain, _, op_type = onnx_node.kind().partition("::")
            log.became(kind if operator else None, onnx_name(domain.removeprefix("onnx"), op_type))
        return value

    log.clear()
    with replaced(utils, translate.__name__, translate_and_log):
        try:
            yield
        except Exception as error:
            log.refuse_untranslated()  # what came of the operators that were left is no reason
            raise_ours(error)
    log.refuse_untranslated()


def settle(model: onnx.ModelProto, log: OperatorLog) -> None:
    """Leave out of the log what PyTorch's later passes have left nothing of."""
    kept = {onnx_name(node.domain, node.op_type) for node in every_node(model.graph.node)}
    log.keep(kept, UNKNOWN)


def _module_of(node: torch._C.Node) -> str:
    """``layers.0.linear`` of ``model.Net::/model.Layer::layers.0/torch...Linear::linear``."""
    path: list[str] = []
    for part in (scope.partition("::")[2] for scope in node.scopeName().split("/")):
        if part:
            # A child of a container has the container's name in front of its own.
            path.append(part.removeprefix(f"{path[-1]}.") if path else part)
    return ".".join(path)


def _fault(error: Exception) -> str:
    newer = re.search(r"was added in version (\d+)", str(error))
    return f"needs opset {newer[1]}" if newer else NO_TRANSLATION
