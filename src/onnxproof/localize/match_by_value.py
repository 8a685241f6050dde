"""Tensors of a graph beside PyTorch's results: which are the same, and which have nothing left.

TorchScript's exporters keep no name of a PyTorch value. A tensor of the graph with the value of one
is right; the first result that must have a tensor and has none is the place where it goes wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.graph.source_map import SourceMap
from onnxproof.localize.budget import Budget
from onnxproof.records import SourceLocation
from onnxproof.runtime.intermediates import Examined, names_read

if TYPE_CHECKING:
    import numpy as np

LEAST_ELEMENTS: Final = 2
"""One number may by chance be another one."""
BLIND: Final = ("Shape", "Size")
"""Operators that are right whatever values they take."""


class Computed(NamedTuple):
    """One result of an operator."""

    location: SourceLocation  # module that was running, and line of the author's code
    array: np.ndarray
    takes: frozenset[int]  # numbers of the results that it comes from


class Pairs:
    """Tensors and results of the same value, and what is left on both sides."""

    def __init__(
        self,
        examined: Examined,
        computed: list[Computed],
        given: Collection[int],
        found: Mapping[str, np.ndarray],
        budget: Budget,
    ) -> None:
        self._examined, self._computed, self._found = examined, computed, found
        self._given = given
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, result in enumerate(computed):
            by_shape.setdefault(result.array.shape, []).append(number)
        self.right: dict[str, int] = {}
        self._same: dict[int, int] = {}  # of several results with one value, the first
        for name, array in found.items():
            for number in by_shape.get(array.shape, ()):
                if _alike(name, computed[number].array, array, budget):
                    first = self.right.setdefault(name, number)
                    self._same.setdefault(number, self._same.get(first, first))

    def first_wrong(self, source_map: SourceMap) -> tuple[str, int] | None:
        """The tensor that should have the first result that none has, and the result's number."""
        unmatched, missing = self._unmatched(), self._missing()
        for number in missing:
            wanted = self._computed[number]
            here = [name for name in unmatched if source_map.get(name) == wanted.location]
            inside = [
                name
                for name in unmatched
                if name in source_map and source_map[name].module == wanted.location.module
            ]
            for among in (here, inside, unmatched):
                shape = wanted.array.shape
                if alike := [name for name in among if self._found[name].shape == shape]:
                    return self._nearest(alike, number, missing), number
            # Views have their elements in another shape; a wrong Slice has others.
            if here and _sliced(self._found[here[0]], wanted.array):
                return here[0], number
        return None

    def _nearest(self, alike: list[str], number: int, missing: list[int]) -> str:
        """Of tensors of the right shape and place, the one that stands for a result."""
        wanted = self._computed[number]
        needed = self._nearest_right(number)
        whole = [name for name in alike if needed <= set(self._sources(name))] or alike
        results = [
            result
            for result in missing
            if self._computed[result].location == wanted.location
            and self._computed[result].array.shape == wanted.array.shape
        ]
        if len(whole) == len(results):  # one for one, in the same order
            return whole[results.index(number)]
        return min(whole, key=lambda name: _distance(self._found[name], wanted.array))

    def _unmatched(self) -> list[str]:
        """Tensors without a result of PyTorch's, from which nothing right comes any more."""
        alive: set[str] = set()
        for node in reversed(self._examined.nodes):
            if node.op_type in BLIND:
                continue
            if any(name in self.right or name in alive for name in node.output):
                alive |= names_read(node)
        made = [name for name in self._found if name in self._examined.made_by]
        return [name for name in made if name not in self.right and name not in alive]

    def _missing(self) -> list[int]:
        """Results without a tensor from which an output comes, and none with one any more."""
        alive: set[int] = set()
        needed = set(self._given)
        left = []
        for number in reversed(range(len(self._computed))):
            takes = self._computed[number].takes
            if number in self._same or number in alive:
                alive |= takes
            elif number in needed:
                left.append(number)
            if number in needed:
                needed |= takes
        return left[::-1]

    def _nearest_right(self, number: int) -> set[int]:
        """The nearest results with a tensor that a result comes from."""
        near: set[int] = set()
        waiting, seen = list(self._computed[number].takes), {number}
        while waiting:
            if (source := waiting.pop()) in self._same:
                near.add(self._same[source])
            elif source not in seen:
                seen.add(source)
                waiting += self._computed[source].takes
        return near

    def _sources(self, tensor: str) -> Iterator[int]:
        """The results of the nearest tensors before this one that are right."""
        waiting = [tensor]
        seen: set[str] = set()
        while waiting:
            for name in names_read(self._examined.made_by[waiting.pop()]) - seen:
                seen.add(name)
                if name in self.right:
                    yield self._same[self.right[name]]
                elif name in self._examined.made_by:
                    waiting.append(name)


def is_distinctive(array: np.ndarray) -> bool:
    """Whether equal values mean that it is the same tensor."""
    import numpy as np

    return array.dtype.kind == "f" and array.size >= LEAST_ELEMENTS and bool(np.ptp(array) != 0)


def _alike(name: str, wanted: np.ndarray, found: np.ndarray, budget: Budget) -> bool:
    import numpy as np

    step = max(1, wanted.size // 64)
    few, same = wanted.reshape(-1)[::step], found.reshape(-1)[::step]
    with np.errstate(all="ignore"):
        near = np.allclose(few, same, rtol=1e-2, atol=1e-2 * float(np.max(np.abs(wanted))))
    return near and budget.gap(name, wanted, found) is None


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    import numpy as np

    with np.errstate(all="ignore"):
        return float(np.nan_to_num(np.mean(np.abs(one - other)), nan=np.inf))


def _sliced(one: np.ndarray, other: np.ndarray) -> bool:
    return one.ndim == other.ndim and one.size != other.size
