"""PyTorch eager, as a contender of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onnxproof.inputs import Feed
from onnxproof.records import Binding, Work
from onnxproof.spec import Spec

if TYPE_CHECKING:
    from onnxproof.module import SourceModule

Prepare = Callable[[Feed], Callable[[], object]]


def build_of_pytorch() -> str:
    """Version, and what it computes with on the CPU."""
    import torch

    parts = [str(torch.__version__)]
    parts += ["MKL"] if torch.backends.mkl.is_available() else []
    parts += ["oneDNN"] if torch.backends.mkldnn.is_available() else []
    return " ".join(parts)


@contextmanager
def eager(spec: Spec, work: Work, device: str = "cpu") -> Iterator[Mapping[Binding, Prepare]]:
    """Given a feed, a call of the module on it, for each way to bind its inputs and outputs.

    Tensors are made beforehand, as ONNX Runtime's arrays are. On ``cuda`` a call ends when the
    device has ended; there is none where PyTorch cannot use the device. Inside the block PyTorch
    has ``benchmark.threads`` threads and is in inference mode: entering it takes over a
    microsecond, which ONNX Runtime has nothing like in its calls.
    """
    import torch

    from onnxproof.module import build_module

    if device != "cpu" and not torch.cuda.is_available():
        yield {}
        return
    threads = torch.get_num_threads()
    source = build_module(spec, work)
    source.module.to(device)
    torch.set_num_threads(spec.benchmark.threads)
    try:
        with torch.inference_mode():
            yield _on_host(source) if device == "cpu" else _on_device(source, device)
    finally:
        torch.set_num_threads(threads)


def _on_host(source: SourceModule) -> Mapping[Binding, Prepare]:
    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)
        return lambda: source.module(*args, **kwargs)

    return {"host": prepare}


def _on_device(source: SourceModule, device: str) -> Mapping[Binding, Prepare]:
    import torch
    from torch.utils._pytree import tree_map_only

    def moved(values: Any, where: str) -> Any:
        return tree_map_only(torch.Tensor, lambda tensor: tensor.to(where), values)

    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)

        def call() -> object:
            there, named = moved((args, kwargs), device)
            return moved(source.module(*there, **named), "cpu")  # waits for the device

        return call

    def prepare_bound(feed: Feed) -> Callable[[], object]:
        args, kwargs = moved(source.arguments(feed), device)

        def call() -> object:
            outputs = source.module(*args, **kwargs)
            torch.cuda.synchronize()
            return outputs

        return call

    return {"host": prepare, "device": prepare_bound}
