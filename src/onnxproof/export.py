"""Ways out of PyTorch: ``dynamo`` (torch.export), ``trace`` and ``script`` (TorchScript)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from onnxproof.child import run_in_child
from onnxproof.errors import ExportError, OnnxproofError
from onnxproof.grid import example_sizes
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.spec import Spec, Strategy


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
    from onnxproof.dynamo import export_dynamo
    from onnxproof.graph import forget_places, name_dims, save_candidate, stamp
    from onnxproof.inputs import draw
    from onnxproof.module import build_module
    from onnxproof.opset import choose_opset
    from onnxproof.reasons import explain
    from onnxproof.torchscript import export_torchscript

    spec, work, loaded, strategy = request
    start = time.monotonic()
    opset, ir_version = choose_opset(spec.export, strategy)
    source = build_module(spec, work)
    feed = draw(spec.inputs, example_sizes(spec.dims), spec.check.seed, 0)
    outputs = [output.name for output in loaded.reference.outputs]
    arguments = source.arguments(feed)
    try:
        if strategy == "dynamo":
            model = export_dynamo(source, arguments, outputs, opset)
        else:
            model = export_torchscript(source, arguments, outputs, opset, strategy)
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
