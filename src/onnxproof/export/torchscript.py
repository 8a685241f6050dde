"""The two ways out through TorchScript: ``trace`` records one call, ``script`` reads the code."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from onnxproof.export.strategy import Strategy
from onnxproof.graph.external_data import Exported, goes_outside, unload
from onnxproof.samples.grid import dynamic_axes
from onnxproof.source.flat_inputs import flat_module
from onnxproof.spec.nested_inputs import INNER

if TYPE_CHECKING:
    import onnx
    import onnx_ir
    import torch

    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.translations import Translations
    from onnxproof.source.module import SourceModule


def export_torchscript(
    source: SourceModule,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    outputs: list[str],
    translations: Translations,
    log: OperatorLog,
    *,
    scripted: bool,
) -> Exported:
    """The graph, with the spec's names for inputs, outputs and the axes of inputs.

    Raises:
        ExportError: Operators have no translation, or one that cannot be used.
    """
    import onnx
    import torch

    from onnxproof.export.operators.torchscript import settle, watched

    module = torch.jit.script(source.module) if scripted else source.module
    args, kwargs = arguments
    if not scripted and kwargs and not isinstance(module, torch.jit.ScriptModule):
        # Tracing makes an input of every default that is a number.
        module = flat_module(module, tuple(kwargs), "keyword")
        args, kwargs = tuple(kwargs.values()), {}
        log.outer = INNER
    weights = _weights_of(source.module if scripted else module)
    size_bytes = sum(tensor.nbytes for tensor in source.module.state_dict().values())
    outside = goes_outside(size_bytes, source.spec.export.external_data)
    buffer = io.BytesIO()
    with watched(log), translations.registered(log.opset):
        torch.onnx.export(
            module,
            args,
            buffer,  # type: ignore[arg-type]  # the annotation forgets files; the docs have them
            kwargs=kwargs,
            dynamo=False,
            # It would hold two more copies of them, and writes a file for each beyond 2 GB.
            export_params=not outside,
            do_constant_folding=not outside,
            verbose=True,  # nothing else lets it note at every node the line that it comes from
            input_names=list(source.spec.inputs),
            output_names=outputs,
            opset_version=log.opset,
            custom_opsets=translations.custom_opsets,
            dynamic_axes={name: axes for name, axes in dynamic_axes(source.spec).items() if axes},
        )
    model = onnx.load_from_string(buffer.getvalue())
    settle(model, log)
    return unload(_filled(model, weights), "always") if outside else Exported(model, {})


def _weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by every name that they have."""
    return dict(module.named_parameters(remove_duplicate=False)) | dict(
        module.named_buffers(remove_duplicate=False)
    )


def _filled(model: onnx.ModelProto, weights: dict[str, torch.Tensor]) -> onnx_ir.Model:
    """The graph with the module's own tensors for the graph inputs that stand for its weights."""
    import onnx_ir
    from onnxscript.optimizer import fold_constants

    graph = onnx_ir.from_proto(model)
    for value in [graph_input for graph_input in graph.graph.inputs if graph_input.name in weights]:
        graph.graph.inputs.remove(value)
        value.const_value = onnx_ir.tensor_adapters.TorchTensor(weights[str(value.name)])
        graph.graph.initializers.add(value)
    # What the exporter's own folding does first; here it makes views, not copies.
    # A weight with another use, such as a tied one, would be stored twice.
    fold_constants(
        graph,
        should_fold=lambda node: node.op_type == "Transpose" and len(node.inputs[0].uses()) == 1,
    )
    return graph


LOWEST_OPSET: Final = 13
HIGHEST_OPSET: Final = 20
"""``ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET`` of torch 2.13; later ones are not refused, nor right."""
TRACE: Final = Strategy(
    name="trace",
    exporter="torchscript",
    lowest_opset=LOWEST_OPSET,
    highest_opset=HIGHEST_OPSET,
    export=partial(export_torchscript, scripted=False),
    gives_program=False,
    specializes_on="values",
    error_hint="torch.jit.trace(module, args) fails alike, and is quicker to try a change on",
    specialization_hint="tracing runs the Python code once: take strategy script, which keeps Loop "
    "and If, or torch.while_loop and torch.cond with dynamo",
)
SCRIPT: Final = Strategy(
    name="script",
    exporter="torchscript",
    lowest_opset=LOWEST_OPSET,
    highest_opset=HIGHEST_OPSET,
    export=partial(export_torchscript, scripted=True),
    gives_program=False,
    specializes_on="values",
    error_hint="TorchScript reads a part of Python: annotate what is no tensor, and write this "
    "line in what it knows; or leave script out of export.strategies",
    specialization_hint="pass the value to forward as a tensor, and keep it one",
)
