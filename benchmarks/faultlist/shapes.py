"""Faults of shapes and of the contract: right for the example, or called by another name."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.faultlist.edits import (
    after,
    before,
    constant,
    of_type,
    producer,
    retarget,
    set_value,
    value,
)  # fmt: skip
from benchmarks.faultlist.fault import Damage, Fault, graph

EXAMPLE_BATCH: Final = 3
EXAMPLE_SEQ: Final = 5
"""What ``onnxproof.samples.grid.example_sizes`` gives for these dims."""


def _static(model: onnx.ModelProto) -> None:
    for value_info in (*model.graph.input, *model.graph.output):
        value_info.type.tensor_type.shape.dim[0].dim_value = EXAMPLE_BATCH


def _fixed_rows(model: onnx.ModelProto) -> None:
    """``reshape(3, 512)`` for ``flatten(1)``."""
    flat = of_type(model, "Gemm")[0].input[0]
    after(model, flat, "Reshape", constant(model, [EXAMPLE_BATCH, 512]))


def _fixed_length(model: onnx.ModelProto) -> None:
    """Positions of the example's length."""
    node = of_type(model, "Range")[0]
    node.input[1] = constant(model, EXAMPLE_SEQ)


def _fixed_count(model: onnx.ModelProto) -> None:
    """A mean over the batch divides by the example's."""
    made = model.graph.output[0].name
    after(model, made, "Mul", constant(model, 1 / EXAMPLE_BATCH, np.float32))
    after(model, made, "Mul", "rows")
    shape = helper.make_node("Shape", ["image"], ["rows_of"], start=0, end=1)
    cast = helper.make_node("Cast", ["rows_of"], ["rows"], to=TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    model.graph.node.insert(0, shape)


def _above(longest: int) -> Damage:
    """Every position from ``longest`` on is that one."""

    def damage(model: onnx.ModelProto) -> None:
        node = of_type(model, "Range")[0]
        place = next(
            gather for gather in of_type(model, "Gather") if gather.input[1] == node.output[0]
        )
        last = constant(model, longest - 1)
        cut = helper.make_node("Min", [node.output[0], last], ["positions_cut"])
        place.input[1] = "positions_cut"
        before(model, "positions_cut", cut)

    return damage


def _squeezed(model: onnx.ModelProto) -> None:
    """``squeeze()`` without an axis takes a batch of one with it."""
    for node in of_type(model, "Squeeze"):
        if node.output[0] == "start":
            del node.input[1]


def _batch_of_one(model: onnx.ModelProto) -> None:
    """A factor of 0.5 where the first row is the last one too."""
    rows = after(model, of_type(model, "Gemm")[0].output[0], "Mul", "factor")
    half, whole = constant(model, 0.5, np.float32), constant(model, 1, np.float32)
    before(
        model,
        "factor",
        helper.make_node("Gather", [rows, constant(model, [0])], ["first"]),
        helper.make_node("Gather", [rows, constant(model, [-1])], ["last"]),
        helper.make_node("Equal", ["first", "last"], ["alone"]),
        helper.make_node("Where", ["alone", half, whole], ["factor"]),
    )


def _swapped_values(model: onnx.ModelProto) -> None:
    producer(model, "start").output[0] = "other"
    producer(model, "end").output[0] = "start"
    producer(model, "other").output[0] = "end"


def _swapped_order(model: onnx.ModelProto) -> None:
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([outputs[0], outputs[2], outputs[1]])


def _dropped_output(model: onnx.ModelProto) -> None:
    del model.graph.output[2]


def _renamed_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "x"
    retarget(model, "image", "x")


def _unused_input(model: onnx.ModelProto) -> None:
    """The mask is there, and the graph takes ones instead."""
    retarget(model, "attention_mask", "ones")
    same = helper.make_node("Equal", ["input_ids", "input_ids"], ["same"])
    before(model, "ones", same, helper.make_node("Cast", ["same"], ["ones"], to=TensorProto.INT64))


def _dropped_input(model: onnx.ModelProto) -> None:
    _unused_input(model)
    model.graph.input.remove(value(model.graph.input, "attention_mask"))


def _other_dtype(model: onnx.ModelProto) -> None:
    made = model.graph.output[0].name
    after(model, made, "Cast", to=TensorProto.FLOAT16)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def _dims_swapped(model: onnx.ModelProto) -> None:
    dims = value(model.graph.input, "input_ids").type.tensor_type.shape.dim
    dims[0].dim_param, dims[1].dim_param = dims[1].dim_param, dims[0].dim_param


def _squared_count(model: onnx.ModelProto) -> None:
    """``steps * steps`` turns: right for 0 and 1."""
    loop = of_type(model, "Loop")[0]
    model.graph.node.insert(0, helper.make_node("Mul", ["steps", "steps"], ["turns"]))
    loop.input[0] = "turns"


def _zero_count(model: onnx.ModelProto) -> None:
    """No turn at all: right for 0."""
    loop = of_type(model, "Loop")[0]
    model.graph.node.insert(0, helper.make_node("Sub", ["steps", "steps"], ["turns"]))
    loop.input[0] = "turns"


def _example_count(model: onnx.ModelProto) -> None:
    """As many turns as the example asked for."""
    loop = of_type(model, "Loop")[0]
    turns = constant(model, 6)
    model.graph.node.insert(0, helper.make_node("Max", ["steps", turns], ["turns"]))
    loop.input[0] = "turns"


def _newer(model: onnx.ModelProto) -> None:
    model.opset_import[0].version += 5


def _invalid(model: onnx.ModelProto) -> None:
    of_type(model, "Relu")[0].input[0] = "nobody"


def _dead_weight(model: onnx.ModelProto) -> None:
    constant(model, np.ones((512, 1024)), np.float32)


def _zeroed_position(model: onnx.ModelProto) -> None:
    """A table of positions that is one too short, clamped."""
    node = of_type(model, "Range")[0]
    set_value(model, node.input[0], 1, np.int64)


SHAPES: Final = (
    Fault("static dim", "the batch is declared as 3, the example's", "digits", "contract",
          graph(_static), quick=True),
    Fault("batch baked into a reshape", "reshape(3, 512) for flatten(1)", "digits", "parity",
          graph(_fixed_rows), "dynamo", quick=True),
    Fault("length baked in", "positions of the example's 5 tokens", "text", "parity",
          graph(_fixed_length)),
    Fault("count baked in", "a mean over the batch divides by the example's 3", "digits",
          "parity", graph(_fixed_count), quick=True),
    Fault("wrong above a length", "positions from 31 on are all 31", "text", "parity",
          graph(_above(32)), quick=True),
    Fault("wrong at the last position", "position 47 of 48 is 46", "text", "parity",
          graph(_above(47)), "dynamo"),
    Fault("squeeze without an axis", "a batch of 1 loses its axis", "text", "parity",
          graph(_squeezed), quick=True),
    Fault("broadcasting at batch 1", "a factor that is 0.5 where all rows are one", "digits",
          "parity", graph(_batch_of_one)),
    Fault("positions from 1", "arange starts at 1, so one is missing", "text", "parity",
          graph(_zeroed_position)),
    Fault("outputs swapped", "start has the numbers of end", "text", "parity",
          graph(_swapped_values), quick=True),
    Fault("outputs in another order", "end stands before start", "text", "contract",
          graph(_swapped_order), "dynamo"),
    Fault("output dropped", "the last of three", "text", "contract", graph(_dropped_output),
          quick=True),
    Fault("input renamed", "image is called x", "digits", "contract", graph(_renamed_input)),
    Fault("input dropped", "the mask became a constant", "text", "contract",
          graph(_dropped_input)),
    Fault("input without effect", "the mask is declared, and ones are taken", "text", "parity",
          graph(_unused_input), "dynamo"),
    Fault("another dtype", "an output of float16", "digits", "contract", graph(_other_dtype)),
    Fault("dims named wrongly", "batch is called seq", "text", "contract", graph(_dims_swapped)),
    Fault("right for 0 and 1", "steps * steps turns of a loop", "rounds", "parity",
          graph(_squared_count), "script", quick=True),
    Fault("right for 0 alone", "a loop without a turn", "rounds", "parity", graph(_zero_count),
          "script"),
    Fault("right for the example alone", "at least 6 turns, which the example has", "rounds",
          "parity", graph(_example_count), "script"),
    Fault("newer opset", "than the declared runtime loads", "digits", "structure", graph(_newer)),
    Fault("invalid graph", "a node takes what no node gives", "digits", "structure",
          graph(_invalid)),
    Fault("dead weight", "2 MiB that no node uses", "digits", "structure", graph(_dead_weight),
          quick=True),
)  # fmt: skip
