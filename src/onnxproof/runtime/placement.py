"""Where ONNX Runtime put each node, from its own record of the assignment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from onnxproof.records import Placement
from onnxproof.runtime.profiling import is_kernel
from onnxproof.spec import CPU

if TYPE_CHECKING:
    import onnxruntime


def placement_of(provider: str, session: onnxruntime.InferenceSession) -> Placement | None:
    """Nodes by provider; None where this ONNX Runtime cannot tell, or the graph has no nodes.

    A subgraph that a provider compiles into one kernel counts with all its nodes.
    """
    nodes: dict[str, int] = defaultdict(int)
    on_cpu = []
    for part in _parts(session):
        for node in part.get_nodes():
            nodes[part.ep_name] += 1
            if part.ep_name == CPU != provider:
                on_cpu.append(f"{node.op_type} {node.name}".rstrip())
    if not nodes:
        return None
    return Placement(provider=provider, nodes=dict(nodes), on_cpu=tuple(on_cpu))


def used_providers(session: onnxruntime.InferenceSession) -> set[str]:
    """Providers that nodes were assigned to; empty where this ONNX Runtime cannot tell."""
    return {part.ep_name for part in _parts(session)}


def cpu_share_of_time(events: Iterable[Mapping[str, Any]]) -> float | None:
    """Of a profile's kernel times, what the CPU's provider took; None where there are none.

    On a GPU a kernel's time is that of its launch, as the host saw it.
    """
    micros: dict[str, int] = defaultdict(int)
    for event in events:
        if is_kernel(event):
            micros[event["args"]["provider"]] += event["dur"]
    total = sum(micros.values())
    return micros[CPU] / total if total else None


def _parts(session: onnxruntime.InferenceSession) -> tuple[Any, ...]:
    ask = getattr(session, "get_provider_graph_assignment_info", tuple)
    return tuple(ask())
