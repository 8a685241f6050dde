"""Does the module answer the same question twice alike; where not, which submodule begins it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from onnxproof.errors import LoadError, ReferenceRefused
from onnxproof.reference.outputs import Outputs, flatten, run
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import Sizes, example_sizes
from onnxproof.source.module import SourceModule, bytes_of

REPEATS: Final = 6
QUICK_SECONDS: Final = 0.5


class Call(NamedTuple):
    """One call of a submodule: digests of what it took and of what it gave."""

    submodule: str
    took: str
    gave: str


def refuse_nondeterminism(source: SourceModule) -> Outputs:
    """Ask the module at the example: at the smallest sizes dropout may have nothing to drop.

    It is asked twice, and a quick one more often: a small one may by chance answer alike.

    Returns:
        What it answered to the first sample there.

    Raises:
        ReferenceRefused: It answered in two ways.
        LoadError: forward raised.
    """
    sizes = example_sizes(source.spec.dims)
    feed = draw(source.spec.inputs, sizes, source.spec.check.seed, 0)
    start = time.monotonic()
    first = {name: array.copy() for name, array in run(source, feed, sizes).items()}
    for _ in range(REPEATS):
        if _whole(run(source, feed, sizes)) != _whole(first):
            raise ReferenceRefused(
                f"the model answers the same input differently on every call, first in "
                f"{_where(source, feed, sizes)}; turn dropout off (F.dropout needs "
                "training=self.training) and take random numbers out of forward"
            )
        if time.monotonic() - start > QUICK_SECONDS:
            break
    return first


def _where(source: SourceModule, feed: Feed, sizes: Sizes) -> str:
    """The submodule that begins it, or all of forward where it does not answer in two ways now."""
    first = _calls(source, feed, sizes)
    for _ in range(REPEATS):
        again = _calls(source, feed, sizes)
        if [call.gave for call in first] != [call.gave for call in again]:
            return _begins(first, again)
    return first[-1].submodule


def _begins(first: list[Call], again: list[Call]) -> str:
    """The innermost submodule that was asked the same and answered differently."""
    # Children finish before their parents, so the first one found is the innermost.
    pairs = zip(first, again, strict=False)
    own = (here for here, there in pairs if here.gave != there.gave and here.took == there.took)
    return next(own, first[-1]).submodule


def _calls(source: SourceModule, feed: Feed, sizes: Sizes) -> list[Call]:
    """Calls of submodules in the order in which they finished; last the whole."""
    from torch.compiler import is_compiling  # what torch.while_loop does to its body, also eagerly

    finished: list[Call] = []
    waiting: list[str] = []

    def note_input(_module: Any, args: Any, kwargs: Any) -> None:
        if is_compiling():
            return
        waiting.append(_digest([args, kwargs]))  # beforehand: forward may work in place

    def note_output(submodule: str) -> Callable[[Any, Any, Any], None]:
        def note(_module: Any, _args: Any, result: Any) -> None:
            if not is_compiling():
                finished.append(Call(submodule, waiting.pop(), _digest(result)))

        return note

    handles = []
    for name, module in source.module.named_modules():
        with suppress(RuntimeError):  # a ScriptModule takes no hooks
            handles.append(module.register_forward_pre_hook(note_input, with_kwargs=True))
            submodule = f"{name or 'forward'} ({type(module).__name__})"
            handles.append(module.register_forward_hook(note_output(submodule)))
    try:
        outputs = run(source, feed, sizes)
    finally:
        for handle in handles:
            handle.remove()
    return [*finished, Call("forward", "", _whole(outputs))]


def _whole(outputs: Outputs) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in outputs.values())).hexdigest()


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    with suppress(LoadError, RuntimeError):  # a submodule may take and give what a graph may not
        for _, tensor in flatten(value):
            digest.update(bytes_of(tensor))
    return digest.hexdigest()
