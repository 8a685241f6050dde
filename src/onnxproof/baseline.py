"""PyTorch eager, as a contender of the benchmark."""

from __future__ import annotations

from collections.abc import Callable

from onnxproof.inputs import Feed
from onnxproof.records import Work
from onnxproof.spec import Spec


def eager(spec: Spec, work: Work) -> Callable[[Feed], Callable[[], object]]:
    """Given a feed, a call of the module on it; tensors are made beforehand, as ONNX Runtime's are.

    Sets this process's number of PyTorch threads to ``benchmark.threads``.
    """
    import torch

    from onnxproof.module import build_module

    torch.set_num_threads(spec.benchmark.threads)
    source = build_module(spec, work)

    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)

        def call() -> object:
            with torch.inference_mode():
                return source.module(*args, **kwargs)

        return call

    return prepare
