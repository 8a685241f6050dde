"""Does a graph take and give what the spec says: names, order, dtypes, ranks, dynamic dims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.records import Reference, TensorRecord, Verdict

if TYPE_CHECKING:
    import onnx


class _Found(NamedTuple):
    """An input or output of the graph; no shape is not the shape of a scalar."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


def check_contract(graph: onnx.GraphProto, reference: Reference) -> Verdict:
    """One verdict with every fault in its reason."""
    initializers = {initializer.name for initializer in graph.initializer}
    inputs = [
        _describe(graph_input)
        for graph_input in graph.input
        if graph_input.name not in initializers
    ]
    outputs = [_describe(graph_output) for graph_output in graph.output]
    faults = [
        *_faults("input", reference.inputs, inputs),
        *_faults("output", reference.outputs, outputs),
    ]
    if faults:
        return Verdict(name="contract", outcome="failed", reason="; ".join(faults))
    dynamic = sorted(
        {
            size
            for reference_input in reference.inputs
            for size in reference_input.shape
            if isinstance(size, str)
        }
    )
    held = f"dynamic in {', '.join(dynamic)}" if dynamic else "all sizes fixed, as declared"
    return Verdict(
        name="contract",
        outcome="passed",
        reason=f"{len(inputs)} inputs and {len(outputs)} outputs as declared, {held}",
    )


def _describe(value: onnx.ValueInfoProto) -> _Found:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    dtype = TensorProto.DataType.Name(tensor.elem_type).lower()
    return _Found(
        name=value.name,
        dtype={"float": "float32", "double": "float64"}.get(dtype, dtype),
        shape=shape if tensor.HasField("shape") else None,
    )


def _faults(kind: str, declared: Sequence[TensorRecord], found: Sequence[_Found]) -> Iterable[str]:
    wanted, names = [record.name for record in declared], [value_info.name for value_info in found]
    for name in wanted:
        if name not in names:
            yield f"{kind} {name!r} is not in the graph{_why_not(kind, name, declared)}"
    for name in names:
        if name not in wanted:
            yield f"{kind} {name!r} of the graph is not declared"
    if sorted(names) == sorted(wanted) and names != wanted:
        yield f"{kind}s stand as {', '.join(names)}, declared are {', '.join(wanted)}"
    by_name = {value_info.name: value_info for value_info in found}
    for record in declared:
        if record.name in by_name:
            yield from _differences(kind, record, by_name[record.name])


def _why_not(kind: str, name: str, declared: Sequence[TensorRecord]) -> str:
    if kind == "output":
        return ""
    if next(record.used for record in declared if record.name == name):
        return "; its example value was baked in, so any other value gives wrong numbers"
    return (
        "; forward does not use it: no output changed with it, and this exporter leaves such "
        "inputs out. Remove it from inputs, or export by dynamo, which keeps it"
    )


def _differences(kind: str, declared: TensorRecord, found: _Found) -> Iterable[str]:
    subject = f"{kind} {declared.name!r}"
    if declared.dtype != found.dtype:
        yield f"{subject} is {found.dtype}, declared {declared.dtype}"
    if found.shape is None:
        yield f"{subject} has no shape, declared rank {len(declared.shape)}"
        return
    if len(declared.shape) != len(found.shape):
        yield f"{subject} has rank {len(found.shape)}, declared {len(declared.shape)}"
        return
    for axis, (wanted, size) in enumerate(zip(declared.shape, found.shape, strict=True)):
        if isinstance(wanted, str) and isinstance(size, int):
            yield f"{subject} axis {axis} is fixed at {size}, declared dynamic ({wanted})"
        elif wanted not in ("?", size) and size != "?":
            yield f"{subject} axis {axis} is {size}, declared {wanted}"
        elif size == "?" and wanted != "?":
            yield f"{subject} axis {axis} has no name, declared {wanted}"
