from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from onnxproof.runtime import open_session
from onnxproof.simplify.attention import rewrite
from tests.helpers.graphs import model_of

# What the exporter says of itself.
pytestmark = pytest.mark.filterwarnings("ignore")
HEADS, CHANNELS = 2, 8


class Attention(nn.Module):
    """Two layers of masked attention that share one mask, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS) for _ in range(6))
        self.norm = nn.LayerNorm(CHANNELS)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for layer in range(2):
            q, k, v = (
                project(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
                for project in self.projections[3 * layer : 3 * layer + 3]
            )
            found = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = self.norm(x + found.transpose(1, 2).flatten(2))
        return x


@pytest.fixture(scope="module")
def attention() -> onnx.ModelProto:
    torch.manual_seed(0)
    batch, seq = torch.export.Dim("batch", max=16), torch.export.Dim("seq", max=16)
    program = torch.onnx.export(
        Attention().eval(),
        (torch.randn(3, 5, CHANNELS), torch.ones(3, 1, 5, 5, dtype=torch.bool)),
        dynamo=True,
        dynamic_shapes=({0: batch, 1: seq}, {0: batch, 2: seq, 3: seq}),
        opset_version=20,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def counted(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def answer(model: onnx.ModelProto, path: Path, feed: dict[str, Any]) -> np.ndarray:
    onnx.save(model, path)
    (output,) = open_session(path).run(feed).values()
    return output


def test_attention_becomes_one_operator_and_the_checker_accepts_it(
    attention: onnx.ModelProto,
) -> None:
    before = attention.SerializeToString()
    rewritten = rewrite(attention)
    assert counted(rewritten)["MultiHeadAttention"] == 2
    assert "Softmax" not in counted(rewritten)
    onnx.checker.check_model(rewritten, full_check=True)
    assert attention.SerializeToString() == before


def test_every_head_has_a_bias_of_its_own_made_once(attention: onnx.ModelProto) -> None:
    rewritten = rewrite(attention)
    (expand,) = (node for node in rewritten.graph.node if node.op_type == "Expand")
    biases = [node.input[5] for node in rewritten.graph.node if node.op_type[:5] == "Multi"]
    assert biases == [expand.output[0]] * 2


def test_a_row_that_may_attend_to_nothing_stays_as_pytorch_has_it(
    attention: onnx.ModelProto, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((4, 1, 6, 6)) < 0.7
    mask[1, 0, 2] = False
    feed = {"x": rng.standard_normal((4, 6, CHANNELS)).astype("float32"), "mask": mask}
    plain = answer(attention, tmp_path / "plain.onnx", feed)
    assert np.isfinite(plain).all()
    rewritten = answer(rewrite(attention), tmp_path / "rewritten.onnx", feed)
    np.testing.assert_allclose(rewritten, plain, rtol=1e-4, atol=1e-5)


NORM = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[n, 4] x) => (float[n, 4] y) <float[4] one = {1, 1, 1, 1}, float[n, 4] sum>
    { sum = Add(x, x) y = LayerNormalization(sum, one) }
"""
PLAIN = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[n, 4] x) => (float[n, 4] y) <float[n, 4] sum>
    { sum = Add(x, x) y = Relu(sum) }
"""


def test_no_shapes_are_kept_beside_a_layer_normalization() -> None:
    assert len(model_of(NORM).graph.value_info) == 1
    assert not rewrite(model_of(NORM)).graph.value_info


def test_a_graph_without_either_pattern_comes_back_as_it_was() -> None:
    model = model_of(PLAIN)
    assert rewrite(model).SerializeToString() == model.SerializeToString()
