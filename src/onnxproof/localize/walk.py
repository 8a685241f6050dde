"""From the inputs on, tensor by tensor, to those that are beyond their budget."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from onnxproof.localize.budget import Budget, Gap
from onnxproof.progress import say
from onnxproof.runtime.intermediates import Examined
from onnxproof.samples.generate import Feed

if TYPE_CHECKING:
    import numpy as np

CHUNK_BYTES: Final = 128 * 2**20
"""Of tensors that are held at once, about; a large model's do not all fit."""
FIRST_CHUNK: Final = 50


class Values(Protocol):
    """What the tensors of a graph should be."""

    @property
    def names(self) -> Collection[str]:
        """Tensors that have one."""

    def read(self, names: Iterable[str]) -> Mapping[str, np.ndarray]:
        """Values by name."""

    def following(self, name: str) -> Iterable[str]:
        """Tensors that may have been folded into this one."""


class Suspect(NamedTuple):
    """A tensor beyond its budget."""

    tensor: str
    gap: Gap


class Walk:
    """One graph beside its reference, on one sample."""

    def __init__(
        self,
        examined: Examined,
        values: Values,
        feed: Feed,
        expected: Mapping[str, np.ndarray],
        budget: Budget,
    ) -> None:
        self.examined, self.values, self.feed, self.budget = examined, values, feed, budget
        self._expected = expected
        self.comparable = [
            name for name in examined.order if name in expected or name in values.names
        ]
        self._later_names: dict[str, str] = {}

    def suspects(self) -> Iterator[Suspect]:
        """Tensors beyond their budget, in the order of the graph."""
        start, count = 0, FIRST_CHUNK
        while names := self.comparable[start : start + count]:
            say("localize", "compare tensors", start, len(self.comparable))
            found = self.examined.run(self.feed, names)
            wanted = self.read(names)
            for name in names:
                if name in found and name in wanted:
                    gap = self.budget.gap(name, wanted[name], found[name])
                    if gap is not None and not self._folded(name, found[name]):
                        yield Suspect(name, gap)
            start += len(names)
            size = sum(array.nbytes for array in found.values())
            count = max(1, min(4 * count, len(names) * CHUNK_BYTES // max(size, 1)))

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """What tensors should be; of an output, what PyTorch gave for the reference."""
        read_as = {name: self._later_names.get(name, name) for name in names}
        asked = {stand_in for stand_in in read_as.values() if stand_in not in self._expected}
        values = {**(self.values.read(asked) if asked else {}), **self._expected}
        return {name: values[stand_in] for name, stand_in in read_as.items() if stand_in in values}

    def _folded(self, name: str, found: np.ndarray) -> bool:
        """Whether the tensor has the value of a later one, whose operator went into its own."""
        for later in self.values.following(name):
            wanted = self.values.read([later]).get(later) if later in self.values.names else None
            if wanted is not None and self.budget.gap(later, wanted, found) is None:
                self._later_names[name] = later
                return True
        return False
