"""PyTorch eager, as a contender of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from onnxproof.inputs import Feed
from onnxproof.records import Work
from onnxproof.spec import Spec

Prepare = Callable[[Feed], Callable[[], object]]


@contextmanager
def eager(spec: Spec, work: Work) -> Iterator[Prepare]:
    """Given a feed, a call of the module on it; tensors are made beforehand, as ONNX Runtime's are.

    Inside the block PyTorch has ``benchmark.threads`` threads and is in inference mode: entering it
    takes over a microsecond, which ONNX Runtime has nothing like in its calls.
    """
    import torch

    from onnxproof.module import build_module

    threads = torch.get_num_threads()
    source = build_module(spec, work)

    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)
        return lambda: source.module(*args, **kwargs)

    torch.set_num_threads(spec.benchmark.threads)
    try:
        with torch.inference_mode():
            yield prepare
    finally:
        torch.set_num_threads(threads)
