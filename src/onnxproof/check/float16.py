"""The graph as a processor with float16 kernels runs it: what is beyond 65504 is infinite.

ONNX Runtime's CPU provider computes float16 in float32 and rounds where a chain ends, also at its
level without optimizations, so a sum of squares that is infinite on a GPU is right here. Behind
every float16 result stand nodes that say in float32 what float16 would have made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from onnxproof.graph.traversal import nodes_of, tensors_of
from onnxproof.records import Candidate, Work
from onnxproof.runtime import Session, open_session
from onnxproof.runtime.intermediates import Examined

if TYPE_CHECKING:
    import onnx

LARGEST: Final = "onnxproof/largest"
INFINITE: Final = "onnxproof/infinite"
ONE: Final = "onnxproof/one"
MOVES: Final = frozenset({"Constant", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""They compute nothing: what they are given is float16 already."""


@contextmanager
def open_overflowing(
    work: Work, candidate: Candidate, libraries: Sequence[str]
) -> Iterator[Session | None]:
    """A session that overflows where float16 does; None for a graph without float16 results.

    Bodies of loops and branches stay as they are.
    """
    import onnx

    examined = Examined(work, candidate, libraries)
    if not _mentions_float16(examined.model):
        yield None
        return
    model = onnx.ModelProto()
    model.CopyFrom(examined.model)
    if not _let_overflow(model):
        yield None
        return
    with examined.beside(model.SerializeToString()) as path:
        yield open_session(path, optimization="disabled", libraries=libraries)


def _mentions_float16(model: onnx.ModelProto) -> bool:
    """A look that copies nothing: most graphs have none, and may be large."""
    import onnx

    half = onnx.TensorProto.FLOAT16
    return (
        any(graph_input.type.tensor_type.elem_type == half for graph_input in model.graph.input)
        or any(tensor.data_type == half for tensor in tensors_of(model))
        or any(
            attribute.name in ("to", "dtype") and attribute.i == half
            for node in nodes_of(model)
            for attribute in node.attribute
        )
    )


def _let_overflow(model: onnx.ModelProto) -> bool:
    """Change the graph; whether it has a node that computes in float16."""
    half = _float16_tensors(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        copy = type(node)()
        copy.CopyFrom(node)
        nodes.append(copy)
        if node.op_type not in MOVES:
            for index, name in enumerate(node.output):
                if name in half:
                    copy.output[index] = f"{name}/whole"
                    nodes += _overflow(f"{name}/whole", name)
    if len(nodes) == len(model.graph.node):
        return False
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _add_constants(model)
    return True


def _overflow(whole: str, name: str) -> list[onnx.NodeProto]:
    """``name`` is ``whole``, or infinity of its sign where float16 ends before."""
    from onnx import helper

    size, beyond, factor = f"{name}/size", f"{name}/beyond", f"{name}/factor"
    return [
        helper.make_node("Abs", [whole], [size]),
        helper.make_node("Greater", [size, LARGEST], [beyond]),
        helper.make_node("Where", [beyond, INFINITE, ONE], [factor]),
        helper.make_node("Mul", [whole, factor], [name]),
    ]


def _add_constants(model: onnx.ModelProto) -> None:
    import numpy as np
    from onnx import numpy_helper

    largest = float(np.finfo(np.float16).max)
    for name, value in ((LARGEST, largest), (INFINITE, np.inf), (ONE, 1.0)):
        tensor = numpy_helper.from_array(np.array(value, np.float16), name)
        model.graph.initializer.append(tensor)


def _float16_tensors(model: onnx.ModelProto) -> set[str]:
    import onnx

    typed = onnx.shape_inference.infer_shapes(model).graph
    return {
        value_info.name
        for value_info in (*typed.value_info, *typed.output)
        if value_info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    }
