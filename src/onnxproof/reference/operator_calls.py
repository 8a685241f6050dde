"""Watch the operators that PyTorch runs during one call of a module."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch._ops import OpOverload

    from onnxproof.samples.generate import Feed
    from onnxproof.source.module import SourceModule

    Note = Callable[[OpOverload, tuple[Any, ...], dict[str, Any], Any], None]
    """Takes the operator, its positional and keyword arguments, and its result."""

log = logging.getLogger(__name__)


def watch_operators(source: SourceModule, feed: Feed, note: Note) -> bool:
    """Call the module once, and hand each call of an operator to ``note``.

    Returns:
        False where forward cannot be watched: some modules take no mode of PyTorch's dispatcher.
    """
    from torch.compiler import set_stance
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = func(*args, **(kwargs or {}))
            note(func, args, kwargs or {}, result)
            return result

    try:
        # torch.cond and torch.while_loop compile their parts, and would keep what they make below a
        # mode for all later calls; as they are they take none.
        with set_stance("force_eager"), Watch():  # type: ignore[no-untyped-call]
            source(feed)
    except Exception as error:  # it ran without
        log.info("forward cannot be watched: %s: %s", type(error).__name__, error)
        return False
    return True
