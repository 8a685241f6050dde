"""Nodes and tensors of a graph, and of the graphs inside its control flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def every_node(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """``nodes`` of a graph or a function, each followed by those of its branches and bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from every_node(attribute.g.node)


def nodes_of(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the graph and of the model's functions."""
    for part in (model.graph, *model.functions):
        yield from every_node(part.node)


def tensors_of(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every initializer, and every tensor that is an attribute of a node."""
    yield from model.graph.initializer
    for node in nodes_of(model):
        for attribute in node.attribute:
            yield from attribute.g.initializer
            if attribute.HasField("t"):
                yield attribute.t


def names_used(graph: onnx.GraphProto) -> set[str]:
    """Names that a node takes, or that the graph or one inside it gives."""
    used = {graph_output.name for graph_output in graph.output}
    for node in every_node(graph.node):
        used |= {*node.input, *(out.name for part in node.attribute for out in part.g.output)}
    return used


def elements_of(tensor: onnx.TensorProto) -> int:
    """How many elements it has."""
    return prod(tensor.dims)


def precision_of_weights(model: onnx.ModelProto) -> str:
    """The floating dtype that most bytes of the weights have, as ``float16``; empty without any."""
    import onnx_ir

    sizes: dict[str, int] = defaultdict(int)
    for tensor in tensors_of(model):
        kind = onnx_ir.DataType(tensor.data_type)
        if kind.is_floating_point():
            sizes[kind.name.lower()] += size_of(tensor)
    found = max(sizes, key=lambda name: sizes[name], default="")
    return {"float": "float32"}.get(found, found)


def size_of(tensor: onnx.TensorProto) -> int:
    """Bytes of its elements, as ONNX packs those below eight bits."""
    import onnx_ir

    kind = onnx_ir.DataType(tensor.data_type)
    if kind == onnx_ir.DataType.STRING:
        return sum(map(len, tensor.string_data))
    return -(-elements_of(tensor) * kind.bitwidth // 8)
