"""Whether a simplified graph may take the place of the plain one it was made of.

It must be proven itself; here is what it must not be besides: larger, longer, less fused.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxproof.records import Candidate, CheckResult
from onnxproof.spec import Spec


def no_gain(simplified: Candidate, plain: Candidate, spec: Spec) -> str:
    """Why the plain graph is as good; empty when the simplified one may be better."""
    if simplified.model.sha256 == plain.model.sha256:
        return f"{simplified.simplifier} found nothing to change"
    if simplified.nodes > plain.nodes and spec.export.search == "first":  # fastest measures them
        return f"it has {simplified.nodes} nodes, the plain graph {plain.nodes}"
    return ""


def grown(simplified: Candidate, plain: Candidate, spec: Spec) -> str:
    """That the file is larger than its gate allows; empty when it is not."""
    before, after = plain.size_bytes, simplified.size_bytes
    allowed = spec.gates.max_size_growth
    if after > before * (1 + allowed):
        # Both sizes, since a share of a tiny file is a large number about nothing.
        return f"the file grew from {before} to {after} bytes (gates.max_size_growth = {allowed:g})"
    return ""


def less_fused(simplified: CheckResult, plain: CheckResult) -> str:
    """What ONNX Runtime no longer fuses; empty when it runs no more kernels than before.

    A simplifier can break a pattern that one of ONNX Runtime's fusions looks for. The graph is then
    shorter as a file and longer as it runs.
    """
    before, after = sum(plain.kernels.values()), sum(simplified.kernels.values())
    if not before or after <= before:
        return ""
    lost = ", ".join(_fewer(simplified.kernels, plain.kernels)) or "no operator"
    return (
        f"ONNX Runtime runs {after} kernels of it and {before} of the plain graph; fewer than "
        f"there: {lost}"
    )


def _fewer(after: Mapping[str, int], before: Mapping[str, int]) -> list[str]:
    return [
        f"{name} {after.get(name, 0)} for {count}"
        for name, count in sorted(before.items())
        if after.get(name, 0) < count
    ]
