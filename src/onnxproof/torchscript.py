"""The two ways out through TorchScript: ``trace`` records one call, ``script`` reads the code."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from onnxproof.grid import dynamic_axes
from onnxproof.spec import Strategy

if TYPE_CHECKING:
    import onnx

    from onnxproof.module import SourceModule


def export_torchscript(
    source: SourceModule,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    outputs: list[str],
    opset: int,
    strategy: Strategy,
) -> onnx.ModelProto:
    """The graph, with the spec's names for inputs, outputs and the axes of inputs."""
    import onnx
    import torch

    module = torch.jit.script(source.module) if strategy == "script" else source.module
    args, kwargs = arguments
    buffer = io.BytesIO()
    torch.onnx.export(
        module,
        args,
        buffer,  # type: ignore[arg-type]  # the annotation forgets files; the docs have them
        kwargs=kwargs,
        dynamo=False,
        input_names=list(source.spec.inputs),
        output_names=outputs,
        opset_version=opset,
        dynamic_axes={name: axes for name, axes in dynamic_axes(source.spec).items() if axes},
    )
    return onnx.load_from_string(buffer.getvalue())
