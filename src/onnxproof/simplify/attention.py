"""Rewrite a graph for ONNX Runtime where its own fusions miss, or pick a slower kernel.

What was measured is in docs/fastest.md. The rules are onnxscript's; around them stands what makes
the result right for every ONNX Runtime from 1.18 on, and for every input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

BIAS: Final = 5
"""Place of ``attention_bias`` among the inputs of com.microsoft.MultiHeadAttention."""


def rewrite(model: onnx.ModelProto) -> onnx.ModelProto:
    """Attention as one ``com.microsoft.MultiHeadAttention``, and no shapes beside LayerNorm.

    With the shapes in ``value_info`` ONNX Runtime fuses an addition into the LayerNormalization
    after it, and on the CPU that kernel is slower than the two. A graph with neither pattern comes
    back as it was.
    """
    import onnx
    import onnx_ir as ir

    rewritten = onnx.ModelProto()
    fused = ir.from_proto(model)
    if _fuse_attention(fused):
        rewritten = ir.to_proto(fused)
    else:
        rewritten.CopyFrom(model)
    if any(node.op_type == "LayerNormalization" for node in rewritten.graph.node):
        del rewritten.graph.value_info[:]
    return rewritten


def _fuse_attention(model: ir.Model) -> bool:
    """Whether any attention was found, and fused in place."""
    from onnx_ir.passes.common import ShapeInferencePass
    from onnxscript.optimizer import optimize
    from onnxscript.rewriter.ort_fusions import shape_optimization
    from onnxscript.rewriter.ort_fusions.mha import fuse_mha1, fuse_mha2
    from onnxscript.rewriter.ort_fusions.mha_scale import fuse_mha_scale
    from onnxscript.rewriter.ort_fusions.sdpa import fuse_sdpa
    from onnxscript.rewriter.ort_fusions.sdpa_via_mha import replace_sdpa_by_mha

    guards = _count(model, "IsNaN")
    ShapeInferencePass()(model)
    optimize(model)
    shape_optimization.rules.apply_to_model(model)
    optimize(model)
    fuse_sdpa(model, apply_shape_inference=True)
    for fuse in (fuse_mha1, fuse_mha2, fuse_mha_scale, replace_sdpa_by_mha):
        fuse(model)
    optimize(model)  # inlines again what no later rule took up
    guarded = _count(model, "IsNaN") < guards
    expanded: dict[tuple[ir.Value, int], ir.Value] = {}
    found = [node for node in model.graph if node.op_type == "MultiHeadAttention"]
    for node in found:
        if len(node.inputs) > BIAS and node.inputs[BIAS] is not None:
            _expand_bias(model.graph, node, expanded)
            if guarded:
                _guard(model.graph, node)
    return bool(found)


def _expand_bias(
    graph: ir.Graph, node: ir.Node, expanded: dict[tuple[ir.Value, int], ir.Value]
) -> None:
    """Give every head a bias of its own, once for all nodes that share it.

    ONNX Runtime 1.18 and 1.19 refuse one bias for all heads; 1.20 and 1.21 add the wrong one for
    batches (microsoft/onnxruntime pull 24017).
    """
    import onnx_ir as ir

    bias, heads = node.inputs[BIAS], node.attributes["num_heads"].as_int()
    assert bias is not None
    if (bias, heads) not in expanded:
        shape = ir.node("Constant", [], {"value_ints": [1, heads, 1, 1]})
        expand = ir.node("Expand", [bias, shape.outputs[0]])
        graph.insert_before(node, [shape, expand])
        expanded[bias, heads] = expand.outputs[0]
    node.replace_input_with(BIAS, expanded[bias, heads])


def _guard(graph: ir.Graph, node: ir.Node) -> None:
    """Zeros for a row that may attend to nothing, as PyTorch has it.

    Its softmax is NaN. PyTorch's guard stood on the weights, before the product with the values;
    after it, it passes over fewer elements where there are more positions than channels.
    """
    import onnx_ir as ir

    output, query = node.outputs[0], node.inputs[0]
    assert query is not None
    dtype = query.dtype or ir.DataType.FLOAT
    zero = ir.node("Constant", [], {"value": ir.tensor(0.0, dtype=dtype)})
    is_nan = ir.node("IsNaN", [output])
    guarded = ir.node("Where", [is_nan.outputs[0], zero.outputs[0], output])
    result = guarded.outputs[0]
    result.dtype, result.shape = dtype, output.shape
    for use in tuple(output.uses()):
        if use.node not in (is_nan, guarded):
            use.node.replace_input_with(use.idx, result)
    for index, value in enumerate(graph.outputs):
        if value is output:
            result.name, output.name = output.name, f"{output.name}_unguarded"
            graph.outputs[index] = result
    graph.insert_after(node, [zero, is_nan, guarded])


def _count(model: ir.Model, op_type: str) -> int:
    return sum(node.op_type == op_type for node in model.graph)
