"""How far two answers of PyTorch to the same samples lie apart, by magnitude class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.records import ClassNoise, Reference, Work
from onnxproof.samples.magnitude import class_numbers, fills_of, is_fill, low_of
from onnxproof.samples.sample_files import read_set

if TYPE_CHECKING:
    import numpy as np


class Distance:
    """Of one output, over the samples that were added; among elements that are finite in both."""

    def __init__(self, name: str, fills: Sequence[float] = ()) -> None:
        self.name, self.fills = name, fills
        self.sets = 0
        self._elements: dict[int, int] = {}
        self._largest: dict[int, float] = {}
        self._squares: dict[int, float] = {}

    def add(self, saved: np.ndarray, other: np.ndarray) -> None:
        """One more sample; the classes are those of ``saved``.

        Raises:
            ValueError: The shapes differ.
        """
        import numpy as np

        if saved.shape != other.shape:
            raise ValueError(f"output {self.name!r} has the shape {list(other.shape)} there")
        self.sets += 1
        counted = np.isfinite(saved) & np.isfinite(other) & ~is_fill(saved, self.fills)
        wanted = np.asarray(saved)[counted].astype(np.float64)
        off = np.abs(wanted - np.asarray(other)[counted].astype(np.float64))
        numbers = class_numbers(wanted)
        for number in map(int, np.unique(numbers)):
            here = off[numbers == number]
            self._elements[number] = self._elements.get(number, 0) + here.size
            self._largest[number] = max(self._largest.get(number, 0.0), float(here.max()))
            squares = float(np.sum(np.square(here)))
            self._squares[number] = self._squares.get(number, 0.0) + squares

    @property
    def max_abs(self) -> float:
        """The largest of all."""
        return max(self._largest.values(), default=0.0)

    def classes(self) -> tuple[ClassNoise, ...]:
        """Smallest first; those without elements left out."""
        return tuple(
            ClassNoise(
                low=low_of(number),
                elements=elements,
                max_abs=self._largest[number],
                rms=(self._squares[number] / elements) ** 0.5,
            )
            for number, elements in sorted(self._elements.items())
        )


def fills_in(
    work: Work, reference: Reference, names: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Values of each output that stand for no number, among the first samples of all points."""
    first = [point.sets[0] for point in reference.points if point.sets]
    saved = [read_set(Path(work.path(reference.folder, name)))[1] for name in first]
    return {name: fills_of([outputs[name] for outputs in saved]) for name in names}
