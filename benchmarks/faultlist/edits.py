"""Small changes of a graph, which faults are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Change = Callable[[np.ndarray], np.ndarray]


def of_type(model: onnx.ModelProto, op_type: str) -> list[onnx.NodeProto]:
    """Nodes of the main graph with this operator, in order."""
    return [node for node in model.graph.node if node.op_type == op_type]


def initializer(model: onnx.ModelProto, end: str) -> onnx.TensorProto:
    """The one whose name ends so; PyTorch's exporters put different things before it."""
    found: onnx.TensorProto
    found = next(
        initializer for initializer in model.graph.initializer if initializer.name.endswith(end)
    )
    return found


def weight_of(model: onnx.ModelProto, op_type: str, index: int = 0) -> onnx.TensorProto:
    """The initializer that the ``index``-th node of this operator with weights takes."""
    names = {initializer.name: initializer for initializer in model.graph.initializer}
    nodes = [node for node in of_type(model, op_type) if node.input[1] in names]
    found: onnx.TensorProto = names[nodes[index].input[1]]
    return found


def change(tensor: onnx.TensorProto, how: Change) -> None:
    """New values for an initializer, in its own dtype."""
    array = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array(how(array.copy()).astype(array.dtype), tensor.name))


def constant(model: onnx.ModelProto, value: Any, dtype: Any = np.int64) -> str:
    """The name of a new initializer."""
    name = f"fault_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype), name))
    return name


def set_value(model: onnx.ModelProto, name: str, value: Any, dtype: Any) -> None:
    """Another value for a constant, which is an initializer or a node."""
    tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
    for initializer in model.graph.initializer:
        if initializer.name == name:
            initializer.CopyFrom(tensor)
            return
    node = next(graph_node for graph_node in model.graph.node if name in graph_node.output)
    node.attribute[0].t.CopyFrom(tensor)


def attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    """Another value for an attribute; None takes it away."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))


def after(
    model: onnx.ModelProto, tensor: str, op_type: str, *others: str, **attributes: Any
) -> str:
    """Put a node behind ``tensor``: who took it takes what the node gives.

    Returns:
        The name of what the node takes.
    """
    nodes = model.graph.node
    new = f"{tensor}_{len(nodes)}"
    if tensor in {graph_input.name for graph_input in model.graph.input}:
        for node in nodes:
            _take(node, tensor, new)
        nodes.insert(0, helper.make_node(op_type, [tensor, *others], [new], **attributes))
        return tensor
    place = next(index for index, node in enumerate(nodes) if tensor in node.output)
    outputs = nodes[place].output
    outputs[list(outputs).index(tensor)] = new
    nodes.insert(place + 1, helper.make_node(op_type, [new, *others], [tensor], **attributes))
    return new


def before(model: onnx.ModelProto, taker: str, *nodes: onnx.NodeProto) -> None:
    """Put nodes, in order, before the first that takes ``taker``."""
    place = next(i for i, node in enumerate(model.graph.node) if taker in node.input)
    for node in reversed(nodes):
        model.graph.node.insert(place, node)


def _take(node: onnx.NodeProto, old: str, new: str) -> None:
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new


def retarget(model: onnx.ModelProto, old: str, new: str) -> None:
    """Who took ``old`` takes ``new``."""
    for node in model.graph.node:
        _take(node, old, new)


def bypass(model: onnx.ModelProto, node: onnx.NodeProto, index: int = 0) -> None:
    """Whoever took what the node gives takes the node's own input instead."""
    source, made = node.input[index], node.output[0]
    node.output[0] = f"{made}_unused"
    retarget(model, made, source)
    if made in {graph_output.name for graph_output in model.graph.output}:
        model.graph.node.append(helper.make_node("Identity", [source], [made]))


def producer(model: onnx.ModelProto, tensor: str) -> onnx.NodeProto:
    """The node that gives it."""
    found: onnx.NodeProto = next(node for node in model.graph.node if tensor in node.output)
    return found


def value(values: Iterable[onnx.ValueInfoProto], name: str) -> onnx.ValueInfoProto:
    """The input or output of this name."""
    return next(value for value in values if value.name == name)
