"""What PyTorch computes eagerly, operator by operator, paired with the tensors of a graph by value.

TorchScript's exporters keep no name of a PyTorch value. A tensor of the graph with the value of one
is right; the first that must have one and does not is the place where the graph goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.divergence.budget import Budget
from onnxproof.divergence.examined import Examined, names_read
from onnxproof.divergence.places import Places
from onnxproof.divergence.program import array_of
from onnxproof.inputs import Feed

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.module import SourceModule

MAX_BYTES: Final = 2 * 2**30
"""Of all values, PyTorch's and the graph's together."""
LEAST_ELEMENTS: Final = 2
"""One number may by chance be another one."""


class Computed(NamedTuple):
    """One result of an operator."""

    module: str  # path of the module that was running
    array: np.ndarray


class EagerValues:
    """Values of those tensors of one graph that could be paired."""

    def __init__(self, paired: Mapping[str, np.ndarray]) -> None:
        self.names = set(paired)
        self._paired = paired

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Values by name."""
        return {name: self._paired[name] for name in names if name in self._paired}

    def following(self, _name: str) -> Iterator[str]:
        """None: what was folded into a tensor has its value already."""
        return iter(())


def eager_values(
    source: SourceModule, examined: Examined, feed: Feed, budget: Budget, places: Places
) -> EagerValues:
    """Pair the graph's tensors with what the module computes.

    Raises:
        MemoryError: They take more than is sensible to hold.
    """
    computed = _computed(source, feed)
    found = {
        name: array for name, array in examined.run(feed, examined.order).items() if _telling(array)
    }
    if sum(each.nbytes for each in found.values()) > MAX_BYTES // 2:
        raise MemoryError(f"the graph's tensors take more than {MAX_BYTES // 2 >> 20} MiB")
    pairs = _Pairs(examined, computed, found, budget)
    paired = {name: computed[number].array for name, number in pairs.right.items()}
    if (first := pairs.first_wrong(places)) is not None:
        tensor, number = first
        paired[tensor] = computed[number].array
    return EagerValues(paired)


class _Pairs:
    def __init__(
        self,
        examined: Examined,
        computed: list[Computed],
        found: Mapping[str, np.ndarray],
        budget: Budget,
    ) -> None:
        self._examined, self._computed, self._found = examined, computed, found
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, each in enumerate(computed):
            by_shape.setdefault(each.array.shape, []).append(number)
        self.right: dict[str, int] = {}
        for name, array in found.items():
            for number in by_shape.get(array.shape, ()):
                if _alike(name, computed[number].array, array, budget):
                    self.right[name] = number
                    break

    def first_wrong(self, places: Places) -> tuple[str, int] | None:
        """The tensor that should have the first value that none has, and the value's number."""
        astray = self._astray()
        if not astray:
            return None
        # The value that is missing comes after those from which the first node astray starts.
        start = max((self.right[name] for name in self._sources(astray[0])), default=-1)
        seen = set(self.right.values())
        for number in range(start + 1, len(self._computed)):
            wanted = self._computed[number]
            if number in seen:
                continue
            inside = [
                name for name in astray if name in places and places[name].module == wanted.module
            ]
            shape = wanted.array.shape
            alike = [name for name in astray if self._found[name].shape == shape]
            if near := [name for name in alike if name in inside] or alike:
                return min(
                    near, key=lambda name: _distance(self._found[name], wanted.array)
                ), number
            # Views have their elements in another shape; a wrong Slice has others.
            if inside and _sliced(self._found[inside[0]], wanted.array):
                return inside[0], number
        return None

    def _astray(self) -> list[str]:
        """Tensors without a value of PyTorch's from which nothing right comes any more."""
        alive: set[str] = set()
        for node in reversed(self._examined.nodes):
            if any(name in self.right or name in alive for name in node.output):
                alive |= names_read(node)
        return [name for name in self._found if name not in self.right and name not in alive]

    def _sources(self, tensor: str) -> Iterator[str]:
        """The nearest tensors before this one that are right."""
        waiting = [tensor]
        seen: set[str] = set()
        while waiting:
            for name in names_read(self._examined.made_by[waiting.pop()]) - seen:
                seen.add(name)
                if name in self.right:
                    yield name
                elif name in self._examined.made_by:
                    waiting.append(name)


def _computed(source: SourceModule, feed: Feed) -> list[Computed]:
    """Results of PyTorch's operators in order, each value once."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    computed: list[Computed] = []
    running: list[str] = [""]
    total = 0
    state = (*source.model.parameters(), *source.model.buffers())
    weights = {each.untyped_storage().data_ptr() for each in state}

    class Notes(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            nonlocal total
            result = func(*args, **(kwargs or {}))
            for each in result if isinstance(result, (tuple, list)) else (result,):
                if not isinstance(each, torch.Tensor):
                    continue
                if each.untyped_storage().data_ptr() in weights:
                    continue  # a view of a weight; the graph has it as an initializer
                array = array_of(each)
                if array is not None and _telling(array):
                    computed.append(Computed(running[-1], array))
                    total += array.nbytes
            if total > MAX_BYTES // 2:
                raise MemoryError(f"PyTorch's results take more than {MAX_BYTES // 2 >> 20} MiB")
            return result

    with ExitStack() as stack:
        for name, module in source.model.named_modules():
            with suppress(RuntimeError):  # a ScriptModule takes no hooks
                for handle in (
                    module.register_forward_pre_hook(_enter(running, name)),
                    module.register_forward_hook(_leave(running), always_call=True),
                ):
                    stack.callback(handle.remove)
        with Notes():  # type: ignore[no-untyped-call]  # of torch
            source(feed)
    return computed


def _enter(running: list[str], name: str) -> Callable[..., None]:
    def enter(*_: Any) -> None:
        running.append(name)

    return enter


def _leave(running: list[str]) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        running.pop()

    return leave


def _telling(array: np.ndarray) -> bool:
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
