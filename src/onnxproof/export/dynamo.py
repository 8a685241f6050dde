"""The way out through ``torch.export``: a graph of ATen operators, translated by onnxscript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onnxproof.export.strategy import Strategy
from onnxproof.graph.external_data import Exported, unload
from onnxproof.samples.grid import dynamic_axes
from onnxproof.spec import Spec
from onnxproof.spec.dims import Dim, evaluate

if TYPE_CHECKING:
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.translations import Translations
    from onnxproof.source.module import SourceModule


def export_dynamo(
    source: SourceModule,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    outputs: list[str],
    translations: Translations,
    log: OperatorLog,
) -> Exported:
    """The graph, with the spec's names for inputs and outputs; its dims have torch's own names.

    Raises:
        ExportError: Operators have no translation, or one that cannot be used.
    """
    import torch

    from onnxproof.export.operators.dynamo import read_nodes, watched

    args, kwargs = arguments
    shapes = dynamic_shapes(source.spec)
    with watched(log):
        program = torch.onnx.export(
            source.module,
            args,
            kwargs=kwargs,
            dynamo=True,
            # It bakes Python numbers in, and would give their names to the tensors that follow.
            input_names=[
                name for name, input_spec in source.spec.inputs.items() if input_spec.is_tensor
            ],
            output_names=outputs,
            opset_version=log.opset,
            custom_translation_table=translations.table(),
            dynamic_shapes=shapes if source.call == "keyword" else tuple(shapes.values()),
            verbose=False,
        )
    assert program is not None
    read_nodes(program.model, log)
    return unload(program.model, source.spec.export.external_data)


def dynamic_shapes(spec: Spec) -> dict[str, Any]:
    """``torch.export``'s dynamic shapes: input name to axis to ``Dim`` or arithmetic over it."""
    dims = {name: _torch_dim(name, dim) for name, dim in spec.dims.items()}
    return {
        name: {axis: evaluate(size, dims) for axis, size in axes.items()} or None
        for name, axes in dynamic_axes(spec).items()
    }


def _torch_dim(name: str, dim: Dim) -> Any:
    from torch.export import Dim as TorchDim

    if dim.fixed:
        return dim.smallest
    if dim.multiple_of == 1:
        return TorchDim(name, min=dim.min, max=dim.max)
    # torch.export takes no step, but it does take arithmetic over a dim.
    step = dim.multiple_of
    return step * TorchDim(f"{name}_{step}th", min=dim.smallest // step, max=dim.largest // step)


DYNAMO: Final = Strategy(
    name="dynamo",
    exporter="dynamo",
    lowest_opset=18,  # torch 2.13 builds 18 or later; below it converts down, which often fails
    highest_opset=23,  # ONNX_MAX_OPSET of torch 2.13: what its exporter is tested with
    export=export_dynamo,
    gives_program=True,
    specializes_on="sizes",
    error_hint="torch.export.draft_export(module, args) lists every line that it cannot take",
    specialization_hint="declare a Python number as a tensor (int64[] in LOW..HIGH), and write "
    "loops over it as torch.while_loop, branches as torch.cond",
)
