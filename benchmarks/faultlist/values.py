"""Faults of operators: the weights are right, and the numbers are not."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.faultlist.edits import (
    after,
    attribute,
    before,
    bypass,
    constant,
    of_type,
    retarget,
    set_value,
)  # fmt: skip
from benchmarks.faultlist.fault import Damage, Fault, graph


def _with(op_type: str, name: str, value: object, index: int = 0) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        attribute(of_type(model, op_type)[index], name, value)

    return damage


def _bounded(model: onnx.ModelProto) -> None:
    node = of_type(model, "Relu")[1]
    node.op_type = "Clip"
    node.input.extend([constant(model, 0, np.float32), constant(model, 0.5, np.float32)])


def _half_up(model: onnx.ModelProto) -> None:
    """floor(x + 0.5) where PyTorch rounds halves to the even number."""
    node = of_type(model, "Round")[0]
    half = constant(model, 0.5, np.float32)
    node.op_type = "Floor"
    after(model, node.input[0], "Add", half)


def _truncated(model: onnx.ModelProto) -> None:
    bypass(model, of_type(model, "Round")[0])


def _trained(model: onnx.ModelProto) -> None:
    """Batch norm as it is in training: by the statistics of the batch."""
    node = of_type(model, "Relu")[0]
    names = [constant(model, np.full(16, value), np.float32) for value in (1, 0, 0, 1)]
    made = f"{node.input[0]}_normed"
    norm = helper.make_node(
        "BatchNormalization", [node.input[0], *names], [made, "mean", "var"], training_mode=1
    )
    node.input[0] = made
    before(model, made, norm)


def _dropout(model: onnx.ModelProto) -> None:
    ratio, training = constant(model, 0.1, np.float32), constant(model, True, np.bool_)
    after(model, of_type(model, "Flatten")[0].output[0], "Dropout", ratio, training)


def _noisy(model: onnx.ModelProto) -> None:
    """A value that is drawn anew in each run."""
    source = after(model, of_type(model, "Flatten")[0].output[0], "Add", "noise")
    before(model, "noise", helper.make_node("RandomNormalLike", [source], ["noise"], scale=1e-2))


def _nan(model: onnx.ModelProto) -> None:
    """0 / 0 where one token has all of the attention."""
    source = after(model, of_type(model, "Softmax")[0].output[0], "Mul", "ratio")
    before(
        model,
        "ratio",
        helper.make_node("Sub", [source, constant(model, 1, np.float32)], ["gap"]),
        helper.make_node("Div", ["gap", "gap"], ["ratio"]),
    )


def _overflow(model: onnx.ModelProto) -> None:
    """Squares rounded to float16, which ends at 65504."""
    square = of_type(model, "Pow")[0].output[0]
    after(model, square, "Cast", to=TensorProto.FLOAT16)
    after(model, square, "Cast", to=TensorProto.FLOAT)


def _all_in_float16(model: onnx.ModelProto) -> None:
    """The norm as well. ONNX Runtime's CPU provider has no float16 kernels and takes float32."""
    for node in of_type(model, "Cast"):
        attribute(node, "to", TensorProto.FLOAT16)
    for node in of_type(model, "Constant"):
        tensor = node.attribute[0].t
        if tensor.data_type == TensorProto.FLOAT:
            set_value(model, node.output[0], onnx.numpy_helper.to_array(tensor), np.float16)


def _mask_ignored(model: onnx.ModelProto) -> None:
    bypass(model, of_type(model, "And")[0])


def _mask_weak(model: onnx.ModelProto) -> None:
    for node in of_type(model, "Where"):
        set_value(model, node.input[1], -5, np.float32)


def _mask_inverted(model: onnx.ModelProto) -> None:
    of_type(model, "Greater")[0].op_type = "LessOrEqual"


def _mask_shifted(model: onnx.ModelProto) -> None:
    """A token sees the one after it."""
    node = of_type(model, "LessOrEqual")[0]
    after(model, node.input[1], "Add", constant(model, 1))


def _both_ways(model: onnx.ModelProto) -> None:
    """Causal attention without its triangle."""
    node = of_type(model, "And")[0]
    retarget(model, node.output[0], node.input[1])


def _last_but_one(model: onnx.ModelProto) -> None:
    """``states[:, -2]`` for ``states[:, -1]``."""
    node = next(gather for gather in of_type(model, "Gather") if gather.attribute[0].i == 1)
    set_value(model, node.input[1], -2, np.int64)


def _first_state(model: onnx.ModelProto) -> None:
    """The hidden state starts from ones."""
    node = of_type(model, "ConstantOfShape")[0]
    attribute(node, "value", onnx.numpy_helper.from_array(np.ones(1, np.float32)))


def _narrow(model: onnx.ModelProto) -> None:
    """Token numbers through eight bits."""
    after(model, "input_ids", "Cast", to=TensorProto.INT64)
    after(model, "input_ids", "Cast", to=TensorProto.UINT8)


def _swapped_operands(model: onnx.ModelProto) -> None:
    node = of_type(model, "Div")[0]
    node.input[0], node.input[1] = node.input[1], node.input[0]


def _mean_is_sum(model: onnx.ModelProto) -> None:
    body = of_type(model, "Loop")[0].attribute[0].g
    node = next(body_node for body_node in body.node if body_node.op_type == "ReduceMean")
    node.op_type = "ReduceSum"


def _through_float16(model: onnx.ModelProto) -> None:
    made = of_type(model, "Gelu")[0].output[0]
    after(model, made, "Cast", to=TensorProto.FLOAT16)
    after(model, made, "Cast", to=TensorProto.FLOAT)


def _in_float64(model: onnx.ModelProto) -> None:
    """A matrix product in float64, which is right, and slow."""
    node = of_type(model, "MatMul")[0]
    wide = [f"{name}_wide" for name in node.input]
    casts = [
        helper.make_node("Cast", [name], [made], to=TensorProto.DOUBLE)
        for name, made in zip(node.input, wide, strict=True)
    ]
    node.input[:] = wide
    before(model, wide[0], *casts)
    after(model, node.output[0], "Cast", to=TensorProto.FLOAT)


VALUES: Final = (
    Fault("eps of a norm", "1e-3 for 1e-5 in a layer norm", "text", "parity",
          graph(_with("LayerNormalization", "epsilon", 1e-3, 1)), "dynamo", quick=True),
    Fault("wrong GELU", "the tanh approximation for the exact one", "text", "parity",
          graph(_with("Gelu", "approximate", "tanh")), "dynamo", quick=True),
    Fault("wrong axis", "softmax over queries, not keys", "text", "parity",
          graph(_with("Softmax", "axis", -2))),
    Fault("bounded ReLU", "a ReLU ends at 0.5", "digits", "parity", graph(_bounded)),
    Fault("rounding mode", "halves are rounded up, not to the even number", "recommender",
          "parity", graph(_half_up), quick=True),
    Fault("rounding dropped", "a fraction is cut off, not rounded", "recommender", "parity",
          graph(_truncated)),
    Fault("operands swapped", "2 / x for x / 2", "recommender", "parity",
          graph(_swapped_operands)),
    Fault("sum for mean", "an embedding bag adds up", "recommender", "parity",
          graph(_mean_is_sum)),
    Fault("train-mode batch norm", "it takes the statistics of the batch", "digits", "structure",
          graph(_trained), quick=True),
    Fault("dropout left on", "a Dropout node in training mode", "digits", "structure",
          graph(_dropout), quick=True),
    Fault("nondeterminism", "noise of 1 % is added, drawn anew each time", "digits", "parity",
          graph(_noisy), quick=True),
    Fault("NaN for some rows", "0 / 0 where one token has all of the attention", "text", "parity",
          graph(_nan)),
    Fault("float16 overflow", "squares go through float16, which ends at 65504", "half",
          "parity", graph(_overflow), quick=True),
    Fault("float16 overflow on a GPU", "a norm in float16, which a CPU computes in float32",
          "half", "parity_float16", graph(_all_in_float16), quick=True),
    Fault("activations through float16", "a float32 GELU is rounded to float16", "text", "parity",
          graph(_through_float16)),
    Fault("float64 by accident", "a product is computed in float64: right, and slow", "text",
          "structure", graph(_in_float64)),
    Fault("padding mask ignored", "padded tokens take part", "text", "parity",
          graph(_mask_ignored), quick=True),
    Fault("padding mask weak", "-5 for -10000 at masked places", "text", "parity",
          graph(_mask_weak), "dynamo"),
    Fault("padding mask inverted", "real tokens are hidden", "text", "parity",
          graph(_mask_inverted)),
    Fault("causal mask off by one", "a token sees the next one", "text", "parity",
          graph(_mask_shifted), "dynamo"),
    Fault("causal mask gone", "a token sees all others", "text", "parity", graph(_both_ways)),
    Fault("wrong padding", "a convolution pads two rows above and none below", "digits",
          "parity", graph(_with("Conv", "pads", [2, 1, 0, 1]))),
    Fault("off-by-one slice", "the last state but one", "recurrent", "parity",
          graph(_last_but_one), quick=True),
    Fault("first state", "a GRU starts from ones", "recurrent", "parity", graph(_first_state)),
    Fault("reset gate", "a GRU resets before the product, not behind it", "recurrent", "parity",
          graph(_with("GRU", "linear_before_reset", 0))),
    Fault("token numbers in 8 bits", "right up to 255", "text", "parity", graph(_narrow)),
)  # fmt: skip
