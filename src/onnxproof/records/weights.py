"""Whose bytes a graph holds: the module's own, or others."""

from __future__ import annotations

from onnxproof.records.base import Record


class UnmatchedTensor(Record):
    """A tensor of the graph that is not the module's own."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    share: float  # of all large tensors


class WeightMatch(Record):
    """Every large tensor of a graph, matched with the module's own."""

    size_bytes: int  # of all large tensors
    tensors: int
    matched: dict[str, int]  # bytes by kind: copy, transposed, merged, slice, batch norm
    unmatched: tuple[UnmatchedTensor, ...] = ()  # the largest first, no more than a few
    unmatched_bytes: int = 0  # of all, also those beyond the few
    missing: tuple[str, ...] = ()  # large tensors of the module that the graph does not hold

    @property
    def share(self) -> float:
        """Of the bytes, how many are the module's own; 1 where there are none."""
        return 1 - self.unmatched_bytes / self.size_bytes if self.size_bytes else 1.0
