"""Faults of weights and constants."""

from __future__ import annotations

from typing import Final

import numpy as np
import onnx

from benchmarks.faultlist.edits import (
    bypass,
    change,
    constant,
    initializer,
    of_type,
    producer,
    set_value,
    weight_of,
)  # fmt: skip
from benchmarks.faultlist.fault import Damage, Fault, Inject, Victim, graph
from benchmarks.faultlist.models import text
from onnxproof.records import Candidate


def _scaled(op_type: str, factor: float) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        change(weight_of(model, op_type), lambda array: array * factor)

    return damage


def _one_element(by: float) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        def moved(array: np.ndarray) -> np.ndarray:
            array[3, 5] *= 1 + by
            return array

        change(weight_of(model, "MatMul", 1), moved)

    return damage


def _last_bit(model: onnx.ModelProto) -> None:
    def moved(array: np.ndarray) -> np.ndarray:
        array.view(np.uint32)[3, 5] ^= 1
        return array

    change(weight_of(model, "MatMul", 1), moved)


def _unseen_row(table: str, column: str) -> Inject:
    def inject(victim: Victim) -> Candidate:
        seen = victim.values_seen(column)

        def damage(model: onnx.ModelProto) -> None:
            def moved(array: np.ndarray) -> np.ndarray:
                row = next(index for index in range(1, len(array)) if index not in seen)
                array[row] = -array[row]
                return array

            change(initializer(model, table), moved)

        return graph(damage)(victim)

    return inject


def _merged(model: onnx.ModelProto) -> None:
    query, key = of_type(model, "MatMul")[:2]
    key.input[1] = query.input[1]


def _swapped(model: onnx.ModelProto) -> None:
    query, key = of_type(model, "MatMul")[:2]
    query.input[1], key.input[1] = key.input[1], query.input[1]


def _transposed(model: onnx.ModelProto) -> None:
    change(weight_of(model, "MatMul"), np.transpose)


def _bias_dropped(model: onnx.ModelProto) -> None:
    names = {initializer.name for initializer in model.graph.initializer}
    node = [add for add in of_type(model, "Add") if names & set(add.input)][4]
    bypass(model, node, next(i for i, name in enumerate(node.input) if name not in names))


def _rounded_through(dtype: str) -> Damage:
    def short(array: np.ndarray) -> np.ndarray:
        if dtype == "float16":
            return array.astype(np.float16)
        return (array.view(np.uint32) & 0xFFFF0000).view(np.float32)

    def damage(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                change(tensor, short)

    return damage


def _residual_dropped(model: onnx.ModelProto) -> None:
    add = producer(model, of_type(model, "LayerNormalization")[2].input[0])
    bypass(model, add, 1)


def _attention_scale(model: onnx.ModelProto) -> None:
    name = of_type(model, "Mul")[0].input[1]
    set_value(model, name, 0.25, np.float32)  # 1 / sqrt(16), and heads are 8 wide


def _last_layer(model: onnx.ModelProto) -> None:
    """The MLP of the second block with the weights of the first."""
    ups = [matmul for matmul in of_type(model, "MatMul") if matmul.input[1] in _names(model)]
    ups[10].input[1] = ups[4].input[1]


def _names(model: onnx.ModelProto) -> set[str]:
    return {initializer.name for initializer in model.graph.initializer}


def _spoiled(number: float) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        def moved(array: np.ndarray) -> np.ndarray:
            array.flat[7] = number
            return array

        change(weight_of(model, "Gemm"), moved)

    return damage


def _older(model: onnx.ModelProto) -> None:
    """The table of words from another training run, everything else from this one."""
    table = text(1).state_dict()["words.weight"].numpy()
    change(initializer(model, "words.weight"), lambda _: table)


def _padding_row(model: onnx.ModelProto) -> None:
    def zeroed(array: np.ndarray) -> np.ndarray:
        array[0] = 0
        return array

    change(initializer(model, "words.weight"), zeroed)


def _running_mean(model: onnx.ModelProto) -> None:
    """Batch norm was folded without its mean."""
    node = of_type(model, "Conv")[0]
    node.input[2] = constant(model, np.zeros(16), np.float32)


WEIGHTS: Final = (
    Fault("weight 1 %", "a convolution's weight is 1 % too large", "digits", "parity",
          graph(_scaled("Conv", 1.01)), quick=True),
    Fault("weight 0.1 %", "a linear layer's weight is 0.1 % too large", "text", "parity",
          graph(_scaled("MatMul", 1.001)), "dynamo"),
    Fault("weight 0.01 %", "a linear layer's weight is 0.01 % too large", "digits", "weights",
          graph(_scaled("Gemm", 1.0001))),
    Fault("one element 10 %", "one of 1024 elements of a weight is 10 % off", "text", "weights",
          graph(_one_element(0.1))),
    Fault("one element 0.1 %", "one of 1024 elements of a weight is 0.1 % off", "text", "weights",
          graph(_one_element(0.001))),
    Fault("last bit", "one bit of one element of a weight, the least significant", "text",
          "weights", graph(_last_bit), "dynamo"),
    Fault("row of an embedding", "one row, of a word that no sample has, has the wrong sign",
          "text", "weights", _unseen_row("words.weight", "input_ids"), quick=True),
    Fault("row of a bag", "one row of an embedding bag, of an item that no sample has",
          "recommender", "weights", _unseen_row("history.weight", "items")),
    Fault("two weights merged", "query and key share one weight", "text", "parity",
          graph(_merged), "dynamo"),
    Fault("two weights swapped", "query has the weight of key", "text", "parity", graph(_swapped),
          quick=True),
    Fault("weight transposed", "a square weight is transposed", "text", "parity",
          graph(_transposed)),
    Fault("weights of another layer", "an MLP has the weight of the block before", "text",
          "parity", graph(_last_layer)),
    Fault("bias dropped", "the addition of a bias is gone", "text", "parity",
          graph(_bias_dropped), "dynamo", quick=True),
    Fault("residual dropped", "a block loses the way around its MLP", "text", "parity",
          graph(_residual_dropped)),
    Fault("rounded to float16", "float32 weights went through float16", "digits", "weights",
          graph(_rounded_through("float16")), quick=True),
    Fault("rounded to bfloat16", "float32 weights went through bfloat16", "recurrent", "parity",
          graph(_rounded_through("bfloat16"))),
    Fault("wrong constant", "scores are divided by sqrt(16), heads are 8 wide", "text", "parity",
          graph(_attention_scale)),
    Fault("fold without the mean", "batch norm was folded into a bias of zeros", "digits",
          "parity", graph(_running_mean)),
    Fault("padding row zeroed", "row 0 of an embedding is zeros, and the module's is not", "text",
          "weights", graph(_padding_row)),
    Fault("NaN in a weight", "one element", "digits", "weights", graph(_spoiled(np.nan)),
          quick=True),
    Fault("Inf in a weight", "one element", "digits", "weights", graph(_spoiled(np.inf))),
    Fault("table of an older run", "an embedding from another training run", "text", "weights",
          graph(_older)),
)  # fmt: skip
