"""What PyTorch computes eagerly, operator by operator, to hold TorchScript's graphs against."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

from onnxproof.graph.source_map import SourceMap
from onnxproof.localize.budget import Budget
from onnxproof.localize.match_by_value import Computed, Pairs, is_distinctive
from onnxproof.localize.program_values import array_of
from onnxproof.records import SourceLocation
from onnxproof.runtime.intermediates import Examined
from onnxproof.samples.generate import Feed
from onnxproof.usercode.source_lines import author_line

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.source.module import SourceModule

MAX_BYTES: Final = 2 * 2**30
"""Of all values, PyTorch's and the graph's together."""


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
    source: SourceModule,
    examined: Examined,
    feed: Feed,
    budget: Budget,
    source_map: SourceMap,
    roots: Sequence[str],
) -> EagerValues:
    """Pair the graph's tensors with what the module computes.

    Raises:
        MemoryError: They take more than is sensible to hold.
    """
    notes = _run(source, feed, roots)
    computed = notes.computed
    found = {
        name: array
        for name, array in examined.run(feed, examined.order).items()
        if is_distinctive(array)
    }
    if sum(array.nbytes for array in found.values()) > MAX_BYTES // 2:
        raise MemoryError(f"the graph's tensors take more than {MAX_BYTES // 2 >> 20} MiB")
    inputs = {name: array for name, array in feed.items() if is_distinctive(array)}
    found = inputs | found  # what a module gives back as it took it has no tensor of its own
    pairs = Pairs(examined, computed, notes.given, found, budget)
    paired = {name: computed[number].array for name, number in pairs.right.items()}
    if (first := pairs.first_wrong(source_map)) is not None:
        tensor, number = first
        paired[tensor] = computed[number].array
    return EagerValues(paired)


class _Notes:
    """What the operators of one call gave."""

    def __init__(self, source: SourceModule, roots: Sequence[str]) -> None:
        state = (*source.model.parameters(), *source.model.buffers())
        self._weights = {tensor.untyped_storage().data_ptr() for tensor in state}
        self._roots = roots
        self.computed: list[Computed] = []
        self.given: frozenset[int] = frozenset()  # numbers of the outputs
        self.running: list[str] = [""]
        self._comes_from: dict[int, frozenset[int]] = {}
        self._alive: list[Any] = []  # so that no other tensor gets the id of one
        self._bytes = 0

    def take(self, result: Any, arguments: Any) -> None:
        """Note the results of an operator, in so far as they tell something."""
        import torch
        from torch.utils._pytree import tree_leaves

        takes = self._behind(arguments)
        location = SourceLocation(module=self.running[-1], line=author_line(_stack(), self._roots))
        for leaf in tree_leaves(result):
            if not isinstance(leaf, torch.Tensor):
                continue
            self._alive.append(leaf)
            self._comes_from[id(leaf)] = takes
            if leaf.untyped_storage().data_ptr() in self._weights:
                continue  # a view of a weight; the graph has it as an initializer
            array = array_of(leaf)
            if array is not None and is_distinctive(array):
                self._comes_from[id(leaf)] = frozenset({len(self.computed)})
                self.computed.append(Computed(location, array, takes))
                self._bytes += array.nbytes
        if self._bytes > MAX_BYTES // 2:
            raise MemoryError(f"PyTorch's results take more than {MAX_BYTES // 2 >> 20} MiB")

    def end(self, outputs: Any) -> None:
        """Note what forward returned."""
        self.given = self._behind(outputs)

    def _behind(self, values: Any) -> frozenset[int]:
        from torch.utils._pytree import tree_leaves

        none: frozenset[int] = frozenset()
        return none.union(*(self._comes_from.get(id(leaf), none) for leaf in tree_leaves(values)))


def _run(source: SourceModule, feed: Feed, roots: Sequence[str]) -> _Notes:
    """What the operators gave while the module ran."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    notes = _Notes(source, roots)

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            notes.take(result, (args, kwargs))
            return result

    args, kwargs = source.arguments(feed)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for name, module in source.model.named_modules():
            with suppress(RuntimeError):  # a ScriptModule takes no hooks
                for handle in (
                    module.register_forward_pre_hook(_enter(notes.running, name)),
                    module.register_forward_hook(_leave(notes.running), always_call=True),
                ):
                    stack.callback(handle.remove)
        with Mode():  # type: ignore[no-untyped-call]  # of torch
            notes.end(source.module(*args, **kwargs))
    return notes


def _stack() -> str:
    """The frames of the call, innermost last, as a stack trace names them."""
    frames, frame = [], sys._getframe(1)
    while frame.f_back is not None:
        frames.append(f'File "{frame.f_code.co_filename}", line {frame.f_lineno}')
        frame = frame.f_back
    return "\n".join(reversed(frames))


def _enter(running: list[str], name: str) -> Callable[..., None]:
    def enter(*_: Any) -> None:
        running.append(name)

    return enter


def _leave(running: list[str]) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        running.pop()

    return leave
