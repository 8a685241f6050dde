"""Graph networks: nodes and edges both vary."""

from __future__ import annotations

from typing import Final

from benchmarks.zoo.architecture import Architecture

SMALLEST: Final = 5
"""Of the nodes; edges point to those, so that they exist at every size."""


def _entry(name: str, factory: str) -> Architecture:
    return Architecture(
        name=name,
        family="graph",
        factory=f"benchmarks.zoo.message_passing:{factory}",
        inputs={
            "features": "float32[nodes, 6]",
            "edges": f"int64[2, edges] in 0..{SMALLEST - 1}",
        },
        dims={"nodes": {"min": SMALLEST, "max": 20}, "edges": {"min": 1, "max": 60}},
    )


GRAPHS: Final = (
    _entry("gcn", "GraphConvolution"),
    _entry("gat", "GraphAttention"),
    _entry("graphsage", "GraphSage"),
)
