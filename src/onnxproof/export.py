"""Ways out of PyTorch: ``dynamo`` (torch.export), ``trace`` and ``script`` (TorchScript)."""

from __future__ import annotations

import io
import itertools
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.child import run_in_child
from onnxproof.dims import Dim, evaluate
from onnxproof.errors import ExportError, OnnxproofError
from onnxproof.grid import example_sizes, settled_shape
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.spec import Spec, Strategy

if TYPE_CHECKING:
    import onnx

    from onnxproof.module import SourceModule

REASON_CHARACTERS: Final = 400
ADVICE: Final = (
    "The error above occurred when calling torch.export.export.",
    "For more information,",
)
"""How the lines begin that PyTorch adds after its reason."""


class ExportRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    loaded: Loaded
    strategy: Strategy


def export_onnx(spec: Spec, work: Work, loaded: Loaded, strategy: Strategy) -> Candidate:
    """The graph that one strategy gives, saved; nothing is claimed of its numbers.

    Raises:
        ExportError: The strategy gave no graph; with the reason, in the exporter's words.
        SpecError: ``export.opset`` is newer than the declared runtime loads.
    """
    return run_in_child(
        export_in_child,
        ExportRequest(spec, work, loaded, strategy),
        failed=ExportError,
        limits=spec.limits,
        log=Path(work.path("logs", f"export-{strategy}.log")),
        doing=f"export by {strategy}",
    )


def export_in_child(request: ExportRequest) -> Candidate:
    """In the child: build the module again, export it, name its dims, stamp it, save it."""
    from onnxproof.graph import forget_places, name_dims, save_candidate, stamp
    from onnxproof.inputs import draw
    from onnxproof.module import build_module
    from onnxproof.opset import choose_opset

    spec, work, loaded, strategy = request
    start = time.monotonic()
    opset, ir_version = choose_opset(spec.export, strategy)
    source = build_module(spec, work)
    feed = draw(spec.inputs, example_sizes(spec.dims), spec.check.seed, 0)
    outputs = [output.name for output in loaded.reference.outputs]
    arguments = source.arguments(feed)
    try:
        if strategy == "dynamo":
            model = _export_dynamo(source, arguments, outputs, opset)
        else:
            model = _export_torchscript(source, arguments, outputs, opset, strategy)
    except OnnxproofError:
        raise
    except Exception as error:
        raise ExportError(f"{strategy}: {explain(error)}") from error
    model.ir_version = min(model.ir_version, ir_version)
    name_dims(model.graph.input, loaded.reference.inputs)
    name_dims(model.graph.output, loaded.reference.outputs)
    forget_places(model)
    stamp(model, work.metadata)
    seconds = time.monotonic() - start
    return save_candidate(model, work, strategy=strategy, simplifier="none", seconds=seconds)


def _export_dynamo(
    source: SourceModule,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    outputs: list[str],
    opset: int,
) -> onnx.ModelProto:
    import torch

    args, kwargs = arguments
    shapes = dynamic_shapes(source.spec)
    program = torch.onnx.export(
        source.module,
        args,
        kwargs=kwargs,
        dynamo=True,
        # It bakes Python numbers in, and would give their names to the tensors that follow.
        input_names=[name for name, each in source.spec.inputs.items() if each.is_tensor],
        output_names=outputs,
        opset_version=opset,
        dynamic_shapes=shapes if source.call == "keyword" else tuple(shapes.values()),
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _export_torchscript(
    source: SourceModule,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    outputs: list[str],
    opset: int,
    strategy: Strategy,
) -> onnx.ModelProto:
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


def dynamic_shapes(spec: Spec) -> dict[str, Any]:
    """``torch.export``'s dynamic shapes: input name to axis to ``Dim`` or arithmetic over it."""
    dims = {name: _torch_dim(name, dim) for name, dim in spec.dims.items()}
    return {
        name: {axis: evaluate(size, dims) for axis, size in axes.items()} or None
        for name, axes in dynamic_axes(spec).items()
    }


def dynamic_axes(spec: Spec) -> dict[str, dict[int, str]]:
    """Input name to axis to the dim, or arithmetic over dims, that stands there."""
    return {
        name: {
            axis: size
            for axis, size in enumerate(
                settled_shape(each.shape, spec.dims, static=spec.export.static)
            )
            if isinstance(size, str)
        }
        for name, each in spec.inputs.items()
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


def explain(error: BaseException) -> str:
    """The cause in one line: the exporter wraps it in a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    joined = " ".join(itertools.takewhile(lambda line: not line.startswith(ADVICE), lines))
    return f"{type(error).__name__}: {joined[:REASON_CHARACTERS]}".rstrip(": ")
