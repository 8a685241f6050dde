"""PyTorch, eager and compiled, as runners of the benchmark."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from onnxproof.benchmark.runners import COMPILED, EAGER, Runner
from onnxproof.records import Binding, Work
from onnxproof.samples.generate import Feed
from onnxproof.spec import Spec

if TYPE_CHECKING:
    from onnxproof.source.module import SourceModule

Prepare = Callable[[Feed], Callable[[], object]]
Forward = Callable[..., object]


def build_of_pytorch() -> str:
    """Version, and what it computes with on the CPU."""
    import torch

    parts = [str(torch.__version__)]
    parts += ["MKL"] if torch.backends.mkl.is_available() else []
    parts += ["oneDNN"] if torch.backends.mkldnn.is_available() else []
    return " ".join(parts)


class Baseline:
    """The module on one device, for as long as its context is open."""

    def __init__(self, source: SourceModule, device: str) -> None:
        self._source, self.device = source, device

    def eager(self) -> list[Runner]:
        """The module as it is, bound each way."""
        return self._runners(EAGER, self._source.module)

    def compiled(self) -> list[Runner]:
        """By ``torch.compile`` as it is by default; the first call of each shape compiles."""
        import torch

        return self._runners(COMPILED, torch.compile(self._source.module))

    def move_weights(self) -> None:
        """Copy every weight to memory of its own, as a session that is opened anew does."""
        import torch

        module = self._source.module
        with torch.inference_mode(mode=False):
            for tensor in itertools.chain(module.parameters(), module.buffers()):
                tensor.data = tensor.data.clone()

    def _runners(self, label: str, forward: Forward) -> list[Runner]:
        import torch

        on_host = self.device == "cpu"
        ways = (_on_host if on_host else _on_device)(self._source, forward, self.device)
        return [
            Runner(label, "", prepare, binding, self.device, inside=torch.inference_mode)
            for binding, prepare in ways.items()
        ]


@contextmanager
def baseline(spec: Spec, work: Work, device: str = "cpu") -> Iterator[Baseline | None]:
    """PyTorch on a device; None where it cannot use it.

    Tensors are made before a call, as ONNX Runtime's arrays are. On ``cuda`` a call ends when the
    device has ended. Inside the block PyTorch has ``benchmark.threads`` threads, keeps denormal
    numbers as ONNX Runtime does, and is in inference mode: entering it takes over a microsecond,
    which ONNX Runtime has nothing like in its calls.
    """
    import torch

    from onnxproof.source.module import build_module

    if device != "cpu" and not torch.cuda.is_available():
        yield None
        return
    threads = torch.get_num_threads()
    source = build_module(spec, work)
    source.module.to(device)
    torch.set_num_threads(spec.benchmark.threads)
    torch.set_flush_denormal(False)
    try:
        with torch.inference_mode():
            yield Baseline(source, device)
    finally:
        torch.set_num_threads(threads)


def _on_host(source: SourceModule, forward: Forward, _: str) -> Mapping[Binding, Prepare]:
    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)
        return lambda: forward(*args, **kwargs)

    return {"host": prepare}


def _on_device(source: SourceModule, forward: Forward, device: str) -> Mapping[Binding, Prepare]:
    import torch
    from torch.utils._pytree import tree_map_only

    def moved(values: Any, where: str) -> Any:
        return tree_map_only(torch.Tensor, lambda tensor: tensor.to(where), values)

    def prepare(feed: Feed) -> Callable[[], object]:
        args, kwargs = source.arguments(feed)

        def call() -> object:
            there, named = moved((args, kwargs), device)
            return moved(forward(*there, **named), "cpu")  # waits for the device

        return call

    def prepare_bound(feed: Feed) -> Callable[[], object]:
        args, kwargs = moved(source.arguments(feed), device)

        def call() -> object:
            outputs = forward(*args, **kwargs)
            torch.cuda.synchronize()
            return outputs

        return call

    return {"host": prepare, "device": prepare_bound}
