"""One candidate on one execution provider: where its nodes run, and what it says there."""

from __future__ import annotations

from onnxproof.records.base import Record, Verdict
from onnxproof.records.parity import OutputParity


class Placement(Record):
    """Which provider took how many nodes, from ONNX Runtime's own assignment record."""

    provider: str  # the one that was asked for
    nodes: dict[str, int]  # by provider
    on_cpu: tuple[str, ...] = ()  # "Shape node_Shape_1": nodes that another provider left
    cpu_time: float | None = None  # share of the kernels' time; None where it was not measured

    @property
    def cpu_nodes(self) -> float:
        """Share of the nodes that are on the CPU, though another provider was asked for."""
        return len(self.on_cpu) / sum(self.nodes.values())


class ProviderCheck(Record):
    """The parity of one candidate on one execution provider, held to a tolerance of its own."""

    provider: str
    precision: str  # what its products may round to: "float32", "tf32", "float16", "bfloat16"
    verdict: Verdict
    parity: tuple[OutputParity, ...] = ()
    placement: Placement | None = None
