"""Is a graph sound: valid ONNX for the declared runtime, and nothing in it that should not be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from onnxproof.errors import one_line
from onnxproof.graph.opset import newest_in
from onnxproof.graph.traversal import (
    elements_of,
    every_node,
    names_used,
    nodes_of,
    size_of,
    tensors_of,
)
from onnxproof.records import Candidate, Loaded, Verdict, Work
from onnxproof.spec import Spec
from onnxproof.units import count, in_bytes
from onnxproof.usercode.source_lines import without_folders

if TYPE_CHECKING:
    import onnx

BIG_ELEMENTS: Final = 1024
"""A tensor of float64 from this size on is data; exporters compute sizes and steps in smaller."""
UNUSED_BYTES: Final = 1 << 20
"""What no node uses may take as much: it is dead weight, and does no other harm."""
SIZE_FACTOR: Final = 4
"""Of the weights: int8 ones may be stored as float32, tied ones more than once."""
SIZE_FLOOR: Final = 128 << 20
"""Bytes that a graph may always take beyond that, for tables which forward computes."""
COMPUTES: Final = frozenset({
    "Attention", "BatchNormalization", "Conv", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM",
    "LayerNormalization", "MatMul", "RMSNormalization", "RNN", "Softmax",
})  # fmt: skip
"""Operators that no exporter needs for sizes."""


def check_structure(spec: Spec, work: Work, loaded: Loaded, candidate: Candidate) -> Verdict:
    """One verdict: what the checker says, else every fault in its reason."""
    import onnx

    path = work.path(candidate.model.path)
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:  # the checker raises its own, and C++ exceptions as others
        text = without_folders(one_line(error, 400), work.roots)
        return Verdict(name="structure", outcome="failed", reason=f"onnx.checker: {text}")
    model = onnx.load(path, load_external_data=False)
    faults = [
        *_newer_than_declared(model, spec),
        *_misplaced(model, work, candidate),
        *_training(model, loaded),
        *_float64(model, loaded),
        *_unused(model),
        *_oversized(loaded, candidate),
    ]
    if faults:
        return Verdict(name="structure", outcome="failed", reason="; ".join(faults))
    return Verdict(
        name="structure",
        outcome="passed",
        reason="onnx.checker with full_check and shape inference; opset "
        f"{candidate.opset} and IR version {candidate.ir_version}, which ONNX Runtime "
        f"{spec.export.min_onnxruntime} loads; {in_bytes(candidate.size_bytes)} for "
        f"{in_bytes(loaded.weights_bytes)} of weights",
    )


def _newer_than_declared(model: onnx.ModelProto, spec: Spec) -> Iterator[str]:
    runtime = spec.export.min_onnxruntime
    opset, ir_version = newest_in(runtime)
    imports = [opset_id for part in (model, *model.functions) for opset_id in part.opset_import]
    found = max(
        (opset_id.version for opset_id in imports if opset_id.domain in ("", "ai.onnx")), default=0
    )
    if found > opset:
        yield (
            f"the graph needs opset {found}, and ONNX Runtime {runtime} "
            f"(export.min_onnxruntime) loads up to {opset}"
        )
    if model.ir_version > ir_version:
        yield (
            f"the file has IR version {model.ir_version}, and ONNX Runtime {runtime} "
            f"(export.min_onnxruntime) loads up to {ir_version}"
        )


def _misplaced(model: onnx.ModelProto, work: Work, candidate: Candidate) -> Iterator[str]:
    """External data that is not, whole, in the candidate's own file of weights."""
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    weights = candidate.weights
    for tensor in tensors_of(model):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        if weights is None or info.location != weights.path:
            text = without_folders(info.location, work.roots)
            own = f"{weights.path} is its file" if weights else "it has none of its own"
            yield f"the data of {tensor.name!r} is in {text}, and {own}"
            continue
        needed, length, offset = size_of(tensor), info.length or 0, info.offset or 0
        if length not in (needed, 0) or offset + needed > weights.size_bytes:
            yield (
                f"{tensor.name!r} takes {needed} bytes, and {weights.path} "
                f"({weights.size_bytes} bytes) is to hold {length or 'them'} from {offset} on"
            )


def _training(model: onnx.ModelProto, loaded: Loaded) -> Iterator[str]:
    """Nodes in training mode; a module that takes statistics of the batch is exported with them."""
    values = _constants(model)
    for node in nodes_of(model):
        if node.op_type == "Dropout" and len(node.input) > 2:
            drops = values.get(node.input[2]) == [True]
            if drops and values.get(node.input[1]) != [0.0]:
                yield f"{_named(node)} drops elements at random (training_mode)"
        trains = any(
            attribute.name == "training_mode" and attribute.i for attribute in node.attribute
        )
        own = loaded.batch_statistics or not loaded.computes_in  # forward could not be watched
        if node.op_type == "BatchNormalization" and trains and not own:
            yield (
                f"{_named(node)} takes the statistics of the batch (training_mode), "
                "and the module those of its buffers"
            )


def _float64(model: onnx.ModelProto, loaded: Loaded) -> Iterator[str]:
    """Float64 that PyTorch does not compute in."""
    from onnx import TensorProto

    records = (*loaded.reference.inputs, *loaded.reference.outputs)
    own = {*loaded.computes_in, *(record.dtype for record in records)}
    if not loaded.computes_in or own & {"float64", "complex128"}:
        return
    double = [tensor for tensor in tensors_of(model) if tensor.data_type == TensorProto.DOUBLE]
    big = [tensor for tensor in double if elements_of(tensor) >= BIG_ELEMENTS]
    for tensor in big:
        yield f"{tensor.name or 'a constant'!r} holds {elements_of(tensor)} elements of float64"
    casts = any(
        attribute.name == "to" and attribute.i == TensorProto.DOUBLE
        for node in nodes_of(model)
        for attribute in node.attribute
    )
    nodes = _computing_in_double(model) if double or casts else []
    if nodes:
        others = f" and {count(len(nodes) - 1, 'other node')}" if nodes[1:] else ""
        yield f"{_named(nodes[0])}{others} computes in float64"
    if big or nodes:
        yield f"the module computes in {', '.join(loaded.computes_in)}"


def _computing_in_double(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    import onnx

    inferred = onnx.shape_inference.infer_shapes(_without_weights(model))
    double = {
        value_info.name
        for value_info in inferred.graph.value_info
        if value_info.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    }
    return [
        node
        for node in every_node(model.graph.node)
        if node.op_type in COMPUTES and double & set(node.output)
    ]


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its big initializers as inputs: types are inferred without their data."""
    import onnx

    graph = model.graph
    big = [
        initializer for initializer in graph.initializer if elements_of(initializer) >= BIG_ELEMENTS
    ]
    names = {value.name for value in (*big, *graph.input)}
    bare = onnx.GraphProto(
        name=graph.name,
        node=graph.node,
        input=graph.input,
        output=graph.output,
        initializer=(
            initializer for initializer in graph.initializer if initializer.name not in names
        ),
    )
    bare.input.extend(
        onnx.helper.make_tensor_value_info(
            initializer.name, initializer.data_type, initializer.dims
        )
        for initializer in big
    )
    return onnx.ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        functions=model.functions,
        graph=bare,
    )


def _unused(model: onnx.ModelProto) -> Iterator[str]:
    used = names_used(model.graph)
    unused = [
        initializer for initializer in model.graph.initializer if initializer.name not in used
    ]
    total = sum(map(size_of, unused))
    if total > UNUSED_BYTES:
        largest = max(unused, key=size_of)
        yield (
            f"{count(len(unused), 'initializer')} that no node uses, {largest.name!r} the largest, "
            f"take {in_bytes(total)}"
        )


def _oversized(loaded: Loaded, candidate: Candidate) -> Iterator[str]:
    allowed = SIZE_FACTOR * loaded.weights_bytes + SIZE_FLOOR
    if candidate.size_bytes > allowed:
        yield (
            f"it takes {in_bytes(candidate.size_bytes)}, the module's weights "
            f"{in_bytes(loaded.weights_bytes)}: more than {SIZE_FACTOR} times these and "
            f"{in_bytes(SIZE_FLOOR)}, so the exporter stored constants that it computed, or "
            "weights several times"
        )


def _constants(model: onnx.ModelProto) -> dict[str, list[float]]:
    """Values with one element, by name."""
    from onnx import numpy_helper
    from onnx.external_data_helper import uses_external_data

    tensors = [(initializer.name, initializer) for initializer in model.graph.initializer]
    for node in nodes_of(model):
        if node.op_type == "Constant":
            tensors += [
                (node.output[0], attribute.t)
                for attribute in node.attribute
                if attribute.HasField("t")
            ]
    return {
        name: numpy_helper.to_array(tensor).ravel().tolist()
        for name, tensor in tensors
        if elements_of(tensor) == 1 and not uses_external_data(tensor)
    }


def _named(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"
