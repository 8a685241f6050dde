"""Graphs of equal layers, so that more layers are that much more work."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Chain(NamedTuple):
    """Layers of one matrix product, a bias and a Relu each, in float32."""

    layers: int
    width: int
    batch: int

    @property
    def name(self) -> str:
        """For a file and a row."""
        return f"{self.layers} layers of {self.width}, batch {self.batch}"


SMALL: Final = Chain(17, 128, 8)
"""0.1 ms a call, and its weights stay in the second-level cache."""
LARGE: Final = Chain(40, 256, 1)
"""0.6 ms a call, whose time goes by where 10 MB of weights lie."""
TINY: Final = Chain(8, 64, 1)
"""0.02 ms a call, half of it ONNX Runtime's own."""

PAIRS: Final = {
    "aa": ((SMALL, SMALL), (LARGE, LARGE), (TINY, TINY)),
    "slower by 5 %": ((Chain(18, 128, 8), SMALL), (Chain(42, 256, 1), LARGE)),
    "slower by 2 %": (
        (Chain(46, 128, 8), Chain(45, 128, 8)),
        (Chain(51, 256, 1), Chain(50, 256, 1)),
    ),
}
"""What is compared with what, in turn; measured, not counted, is how much slower the first is."""


def save(chain: Chain, path: Path) -> Path:
    """Write the graph; the first layers of a longer chain are those of a shorter one."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], [], "x"
    for number in range(chain.layers):
        shape = (chain.width, chain.width)
        weight = rng.normal(0, chain.width**-0.5, shape).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"weight{number}"))
        weights.append(numpy_helper.from_array(np.zeros(chain.width, np.float32), f"bias{number}"))
        inputs = [last, f"weight{number}", f"bias{number}"]
        nodes.append(helper.make_node("Gemm", inputs, [f"product{number}"]))
        last = f"layer{number}"
        nodes.append(helper.make_node("Relu", [f"product{number}"], [last]))
    row: list[str | int | None] = ["batch", chain.width]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, row)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, row)],
        weights,
    )
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path
