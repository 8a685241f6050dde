"""Which tensor of the module a tensor of the graph is, as it is or in a form that has a name."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.weights.sketch import Sketch, project, rows_of

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.weights.sketch import Hashes

FILE: Final = "state.npz"
"""In the work folder: what the load stage noted of the module's tensors."""
LARGE_BYTES: Final = 1024
"""From this size on a tensor is looked up, as it goes outside (external_data.BIG_BYTES)."""
MAX_RUNS: Final = 64
"""Of rows that follow each other in the module too; more is no form that has a name."""
MAX_CANDIDATES: Final = 32
"""Rows of zeros are in many tensors."""
GATES: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Of recurrent layers; ONNX takes their gates in another order."""
NOISE: Final = {"float64": 1e-10, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}
"""How far a folded weight may lie from the recomputed one, as a share of its row's norm."""
TINY: Final = 1e-30
"""Where all is zero, zero is near."""


class Known(NamedTuple):
    """A tensor of the module, under all its names."""

    number: int
    names: tuple[str, ...]
    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    sha256: str
    changed: bool  # by forward, which may have changed it again since

    @property
    def size_bytes(self) -> int:
        """Of its elements."""
        size = self.itemsize
        for dim in self.shape:
            size *= dim
        return size


class Match(NamedTuple):
    """What a tensor of the graph is made of."""

    kind: str
    known: tuple[Known, ...]


class _Run(NamedTuple):
    known: Known
    transposed: bool
    start: int
    length: int
    of: int  # rows that the tensor has


class State:
    """What ``reference.weight_index`` noted."""

    def __init__(self, path: Path) -> None:
        import numpy as np

        self._arrays: dict[str, np.ndarray] = dict(np.load(path))
        index = json.loads(self._arrays["index"].tobytes())
        self.norms: list[str] = index["norms"]
        self.tensors = [
            Known(number, tuple(entry.pop("names")), shape=tuple(entry.pop("shape")), **entry)
            for number, entry in enumerate(index["tensors"])
        ]
        self.by_digest: dict[str, list[Known]] = defaultdict(list)
        self.by_name: dict[str, Known] = {}
        for known in self.tensors:
            self.by_digest[known.sha256].append(known)
            self.by_name.update(dict.fromkeys(known.names, known))

    @property
    def large(self) -> list[Known]:
        """Those that have a sketch."""
        return [tensor for tensor in self.tensors if tensor.size_bytes >= LARGE_BYTES]

    def sketch(self, known: Known) -> Sketch:
        """Of a large one."""
        return Sketch(*(self._arrays[f"{part} {known.number}"] for part in ("rows", "columns")))

    @cached_property
    def _rows(self) -> _Rows:
        return _Rows(self)

    def find(self, digest: str) -> Match | None:
        """Every tensor with these very bytes."""
        found = self.by_digest.get(digest)
        return Match("copy", tuple(found)) if found else None

    def recognize(self, seen: Sketch) -> Match | None:
        """The transpose of a tensor, a part of it, or several one after the other."""
        for hashes, turned in ((seen.rows, False), (seen.columns, True)):
            runs = self._rows.runs(hashes)
            if runs and (kind := _kind(runs, turned=turned)):
                return Match(kind, tuple(dict.fromkeys(run.known for run in runs)))
        return None

    def unfold(
        self, array: np.ndarray, dtype: str, namesakes: Collection[Known] = ()
    ) -> Match | None:
        """A weight or bias with a batch norm in it, recomputed.

        One of ``namesakes`` where it may be several: a norm with a scale of zero, as a residual
        branch begins with, makes any weight zero.
        """
        noise = NOISE.get(dtype)
        if noise is None or not self.norms:
            return None
        if array.ndim == 1:
            found = self._bias(array, noise)
        else:
            folds = [
                (known, norm) for known, norm, near in self._weights(array, noise) if near.all()
            ]
            folds.sort(key=lambda fold: not set(fold[0]) & set(namesakes))
            found = next(iter(folds), None)
        if found is None:
            return None
        known, norm = found
        parts = ("weight", "bias", "running_mean", "running_var")
        names = [f"{self.norms[norm]}.{part}".lstrip(".") for part in parts]
        own = [self.by_name[name] for name in names if name in self.by_name]
        return Match("batch norm", tuple(dict.fromkeys([*known, *own])))

    def misfold(self, array: np.ndarray, dtype: str, least: float) -> str:
        """A weight with a batch norm in it but for some channels; empty where it is none."""
        noise = NOISE.get(dtype)
        if noise is None or not self.norms or array.ndim == 1:
            return ""
        for (known,), norm, near in self._weights(array, noise):
            if least <= near.mean() < 1:
                wrong = (~near).nonzero()[0]
                return (
                    f"{known.names[0]} with {self.norms[norm]} in it, in {len(wrong)} of "
                    f"{len(near)} channels (the first is {wrong[0]})"
                )
        return ""

    def _norms_of(self, channels: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for number in range(len(self.norms)):
            scale = self._arrays[f"scale {number}"]
            if len(scale) == channels:
                yield number, scale, self._arrays[f"shift {number}"]

    def _bias(self, array: np.ndarray, noise: float) -> tuple[list[Known], int] | None:
        import numpy as np

        biases: list[tuple[list[Known], np.ndarray]] = [([], np.zeros(len(array)))]
        for known in self.tensors:
            values = self._arrays.get(f"values {known.number}")
            if values is not None and len(values) == len(array):
                biases.append(([known], values))
        for norm, scale, shift in self._norms_of(len(array)):
            for own, bias in biases:
                wanted = shift + bias * scale
                if (np.abs(array - wanted) <= noise * np.max(np.abs(wanted)) + TINY).all():
                    return own, norm
        return None

    def _weights(
        self, array: np.ndarray, noise: float
    ) -> Iterator[tuple[list[Known], int, np.ndarray]]:
        """Every weight and norm that it can be made of, with the channels that are right."""
        import numpy as np

        for turned in (array, array.T) if array.ndim == 2 else (array,):
            for axis in (0, 1):
                alike = [
                    (known, own)
                    for known in self.tensors
                    if known.shape == turned.shape
                    and (own := self._arrays.get(f"axis {axis} {known.number}")) is not None
                ]
                rows = project(rows_of(turned, axis)) if alike else None
                for norm, scale, _ in self._norms_of(turned.shape[axis]):
                    for known, own in alike:
                        wanted = own * np.stack([scale, scale, np.abs(scale)], axis=1)
                        near = np.abs(rows - wanted) <= noise * wanted[:, 2:] + TINY
                        yield [known], norm, near.all(axis=1)


class _Rows:
    """Where in the module a row is, by its number."""

    def __init__(self, state: State) -> None:
        import numpy as np

        self.pieces: list[tuple[Known, bool]] = []
        self.starts: list[int] = [0]
        parts = []
        for known in state.large:
            for transposed, hashes in enumerate(state.sketch(known)):
                if len(hashes):
                    self.pieces.append((known, bool(transposed)))
                    self.starts.append(self.starts[-1] + len(hashes))
                    parts.append(hashes)
        self.values = np.concatenate(parts) if parts else np.empty(0, np.uint64)
        self.order = np.argsort(self.values, kind="stable")
        self.sorted = self.values[self.order]

    def runs(self, hashes: Hashes) -> list[_Run]:
        """All of ``hashes`` as rows that follow each other; none where that does not go."""
        found: list[_Run] = []
        at = 0
        while at < len(hashes) and len(found) < MAX_RUNS:
            run = self._longest(hashes[at:])
            if run is None:
                return []
            found.append(run)
            at += run.length
        return found if at == len(hashes) else []

    def _longest(self, hashes: Hashes) -> _Run | None:
        import numpy as np

        first = int(np.searchsorted(self.sorted, hashes[0]))
        best: _Run | None = None
        for position in map(int, self.order[first : first + MAX_CANDIDATES]):
            if self.values[position] != hashes[0]:
                break
            piece = bisect_right(self.starts, position) - 1
            start, end = self.starts[piece], self.starts[piece + 1]
            length = min(end - position, len(hashes))
            same = self.values[position : position + length] == hashes[:length]
            length = length if same.all() else int(np.argmin(same))
            if best is None or length > best.length:
                best = _Run(*self.pieces[piece], position - start, length, end - start)
        return best


def _kind(runs: list[_Run], *, turned: bool) -> str:
    """The name of this form; empty where it has none."""
    if all(run.length == run.of for run in runs):
        if len(runs) > 1:
            return "merged"
        return "transposed" if runs[0].transposed != turned else "copy"
    if len(runs) == 1:
        return "slice"
    return "gates" if all(map(_is_gate, runs)) else ""


def _is_gate(run: _Run) -> bool:
    named = any(gate in name for name in run.known.names for gate in GATES)
    sizes = [run.of // count for count in (3, 4) if run.of % count == 0]
    return named and any(run.start % size == 0 and run.length % size == 0 for size in sizes)
