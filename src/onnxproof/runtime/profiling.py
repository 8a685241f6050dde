"""ONNX Runtime's profile, read: kernels of each run, and what they computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import onnx

SUFFIX: Final = "_kernel_time"
PRODUCTS: Final = frozenset(
    {"MatMul", "Gemm", "FusedMatMul", "FusedGemm", "MatMulInteger", "DynamicQuantizeMatMul"}
)
CONVOLUTIONS: Final = frozenset({"Conv", "FusedConv", "NhwcConv", "ConvInteger"})


class Kernel(NamedTuple):
    """One kernel of one run."""

    node: str
    operator: str
    provider: str
    microseconds: int
    first_input: tuple[int, ...]  # shape; empty where it is unknown
    output: tuple[int, ...]


def kernels_by_run(events: Sequence[Mapping[str, Any]]) -> list[list[Kernel]]:
    """The kernels of each run, in the order in which they began."""
    runs = sorted(
        (event["ts"], event["ts"] + event["dur"])
        for event in events
        if event.get("cat") == "Session" and event["name"] == "model_run"
    )
    kernels = sorted(
        ((event["ts"], _kernel(event)) for event in events if is_kernel(event)),
        key=lambda timed: timed[0],
    )
    return [[kernel for start, kernel in kernels if low <= start <= high] for low, high in runs]


def is_kernel(event: Mapping[str, Any]) -> bool:
    """Whether it is the time that one node's kernel took."""
    return event.get("cat") == "Node" and event["name"].endswith(SUFFIX)


def flops(kernels: Sequence[Kernel], weights: Mapping[str, Sequence[int]]) -> int:
    """Multiplications and additions of products and convolutions, as the kernels do them.

    A blocked layout (NCHWc) fills channels up to the width of the processor's vectors: 8 of a
    convolution's channels are 16 where that has AVX-512.

    Args:
        kernels: Of one run.
        weights: Shape of a convolution's weight, by the name of its node.
    """
    return sum(_flops(kernel, weights) for kernel in kernels)


def convolution_weights(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of the weights of a graph's convolutions, by node: prepacked, they are in no event."""
    shapes = {initializer.name: list(initializer.dims) for initializer in model.graph.initializer}
    return {
        node.name: shapes[node.input[1]]
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and node.input[1] in shapes
    }


def _flops(kernel: Kernel, weights: Mapping[str, Sequence[int]]) -> int:
    if kernel.operator in PRODUCTS and kernel.first_input:
        return 2 * prod(kernel.output) * kernel.first_input[-1]
    if kernel.operator in CONVOLUTIONS and (weight := weights.get(kernel.node)):
        return 2 * prod(kernel.output) * prod(weight[1:])
    return 0


def _kernel(event: Mapping[str, Any]) -> Kernel:
    arguments = event["args"]
    return Kernel(
        node=event["name"].removesuffix(SUFFIX),
        operator=arguments["op_name"],
        provider=arguments["provider"],
        microseconds=event["dur"],
        first_input=next(_shapes(arguments.get("input_type_shape", ())), ()),
        output=next(_shapes(arguments.get("output_type_shape", ())), ()),
    )


def _shapes(types: Sequence[Mapping[str, Sequence[int]]]) -> Iterator[tuple[int, ...]]:
    for tensor_type in types:
        for shape in tensor_type.values():
            yield tuple(shape)
