"""The operators of an exported program, and the ONNX nodes that PyTorch notes as theirs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onnxproof.export.operators.log import NO_TRANSLATION, OperatorLog, raise_ours, replaced

if TYPE_CHECKING:
    import onnx_ir
    import torch


@contextmanager
def watched(log: OperatorLog) -> Iterator[None]:
    """Log every operator of what ``torch.onnx.export`` translates inside of the block.

    PyTorch stops at the first operator without a translation. The function that is wrapped here
    gets the whole program and the registry of translations, so all of them can be named at once.

    Raises:
        ExportError: Operators have no translation, or the translation of one raised.
    """
    from torch.onnx._internal.exporter import _core, _dispatching

    translate = _core._exported_program_to_onnx_program

    def ask_and_translate(program: Any, *, registry: Any, **options: Any) -> Any:
        log.clear()
        for node in _calls(program):
            name = name_of(node.target)
            log.found(name, _module_of(node), node.meta.get("stack_trace") or "")
            function, reason = _dispatching.dispatch(node, registry)
            if function is None and not name.startswith("onnx::"):
                kind = " for complex numbers" if "complex-valued" in reason else ""
                log.untranslated(name, f"{NO_TRANSLATION}{kind}")
        log.refuse_untranslated()
        return translate(program, registry=registry, **options)

    with replaced(_core, translate.__name__, ask_and_translate):
        try:
            yield
        except Exception as error:
            raise_ours(error)


def read_nodes(model: onnx_ir.Model, log: OperatorLog) -> None:
    """Log the nodes of the finished graph with the operators that they come from."""
    functions = (function.all_nodes() for function in model.functions.values())
    for node in itertools.chain(model.graph.all_nodes(), *functions):
        origin = node.meta.get("node")  # of torch 2.13, kept by its optimizer
        name = name_of(origin.target) if origin is not None else None
        log.became(name, onnx_name(node.domain, node.op_type))


def name_of(target: Any) -> str:
    """``aten::softmax.int``, ``cond`` or ``operator.add``."""
    if hasattr(target, "name"):  # an operator of PyTorch's dispatcher, or of higher order
        return str(target.name())
    return f"{str(target.__module__).removeprefix('_')}.{target.__name__}"


def onnx_name(domain: str, op_type: str) -> str:
    """``Gemm``, or ``domain::Name``."""
    return op_type if domain in ("", "ai.onnx") else f"{domain}::{op_type}"


def _calls(program: torch.export.ExportedProgram) -> Iterator[torch.fx.Node]:
    """Calls of operators, also those in the branches and bodies of control flow."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if hasattr(module, "graph") else ():
            # getitem takes an operator's output from a tuple, and is no operator.
            if node.op == "call_function" and getattr(node.target, "__name__", "") != "getitem":
                yield node


def _module_of(node: torch.fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    return str([path for path, _ in stack.values()][-1]) if stack else ""
