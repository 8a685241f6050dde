"""Points beyond the usual grid, as far as the work there can be paid; counted, never timed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

from onnxproof.records import GridPoint
from onnxproof.reference.operations import PER_SECOND, CallCost, count, predict
from onnxproof.samples.generate import draw
from onnxproof.samples.grid import Sizes, every_size, joint_sizes, label
from onnxproof.source.module import SourceModule

MOST_SIZES: Final = 4096
"""Of one dim that are tried one by one."""
SECONDS_OF_SIZES: Final = 5
"""That all of them may take together, counted in operations."""


class PayablePoints:
    """Of one module; forward is run at the ends of its dims to count."""

    def __init__(self, source: SourceModule) -> None:
        self.source, self.spec = source, source.spec

    def joint(self, seen: Sequence[Sizes]) -> tuple[Sizes, list[GridPoint]]:
        """All dims at their largest together, or as large as work and memory allow.

        Returns:
            The sizes, empty where there is nothing to add; and the corner as a point that was not
            reached, where it is too much, with a reason that names the largest joint point.
        """
        dims = self.spec.dims
        if self.spec.export.static or sum(not dim.fixed for dim in dims.values()) < 2:
            return {}, []
        joint = list(joint_sizes(dims))
        corner = GridPoint(dims=joint[0], outcome="not_reached")
        if joint[0] in seen:
            return {}, []
        if self._at_ends is None:
            reason = "forward cannot be watched, so its work there is not known"
            return {}, [corner.model_copy(update={"reason": reason})]
        beyond = [self._too_much(predict(*self._at_ends, dims, sizes)) for sizes in joint]
        if not beyond[0]:
            return joint[0], []
        pairs = zip(joint, beyond, strict=True)
        payable = next((sizes for sizes, reason in pairs if not reason), {})
        reason = f"{beyond[0]}; the largest joint point that ran is {label(payable or seen[-1])}"
        left_out = [corner.model_copy(update={"reason": reason})]
        return ({} if payable in seen else payable), left_out

    def every_size(self, seen: Sequence[Sizes]) -> list[Sizes]:
        """Each dim at every size, where an operator computes with sizes in floats and it is cheap.

        Such an operator may be right at the ends and wrong at one size in a hundred.
        """
        dims = self.spec.dims
        if self.spec.export.static or not dims or self._at_ends is None:
            return []
        least, grown = self._at_ends
        if not any(work.steps_with_sizes for work in (least, *grown.values())):
            return []
        sizes = [point for point in every_size(dims, MOST_SIZES) if point not in seen]
        operations = sum(predict(least, grown, dims, point).operations for point in sizes)
        return sizes if operations <= PER_SECOND * SECONDS_OF_SIZES else []

    @cached_property
    def _at_ends(self) -> tuple[CallCost, dict[str, CallCost]] | None:
        """With every dim at its smallest, and with each at its largest; None where unknown."""
        dims = self.spec.dims
        least = {name: dim.smallest for name, dim in dims.items()}
        smallest = self._count(least)
        grown = {
            name: self._count({**least, name: dim.largest})
            for name, dim in dims.items()
            if not dim.fixed
        }
        known = {name: work for name, work in grown.items() if work is not None}
        return (smallest, known) if smallest is not None and len(known) == len(grown) else None

    def _count(self, sizes: Sizes) -> CallCost | None:
        return count(self.source, draw(self.spec.inputs, sizes, self.spec.check.seed, 0))

    def _too_much(self, work: CallCost) -> str:
        """What the work is beyond; empty where it can be paid."""
        allowed = self.spec.check.seconds * PER_SECOND
        memory = self.spec.limits.memory_gb * 2**30 / 2
        if work.operations > allowed:
            return f"about {work.operations:.2g} operations, check.seconds pays for {allowed:.2g}"
        if work.result_bytes > memory:
            return (
                f"results of about {work.result_bytes / 2**30:.2g} GiB, half of limits.memory_gb "
                f"is {memory / 2**30:.2g}"
            )
        return ""
