"""What takes part in a benchmark: PyTorch, and every candidate on every execution provider."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.records import Binding, Verdict, Work, where_text
from onnxproof.samples.generate import Feed
from onnxproof.spec import BenchmarkSpec, Provider

if TYPE_CHECKING:
    from onnxproof.runtime import Session

EAGER: Final = "pytorch eager"
COMPILED: Final = "torch.compile"


class Runner(NamedTuple):
    """Something to time: given a feed, ``prepare`` gives a call without arguments.

    A call ends when the device has ended. With the binding ``device`` inputs and outputs are there
    already; with ``host`` they are the host's, and copying them is part of the call.
    """

    label: str
    provider: str
    prepare: Callable[[Feed], Callable[[], object]]
    binding: Binding = "host"
    device: str = "cpu"
    open_ms: float | None = None  # of a session, which each repetition opens anew
    inside: Callable[[], AbstractContextManager[object]] = nullcontext  # of a thread that calls

    @property
    def where(self) -> str:
        """Provider and binding."""
        return where_text(self.provider, self.device, self.binding)


class Opened(NamedTuple):
    """Sessions, and why a provider takes no part."""

    runners: list[Runner]
    skipped: list[Verdict]
    providers: tuple[Provider, ...]  # that started


def open_all(
    benchmark: BenchmarkSpec,
    work: Work,
    models: Mapping[str, Path],
    libraries: Sequence[str],
    *,
    backwards: bool = False,
) -> Opened:
    """Every model on every provider, bound each way, in the order of providers and models.

    Args:
        benchmark: Providers, and threads.
        work: Where plug-ins may come from.
        models: ONNX files by label.
        libraries: Files with operators that ONNX Runtime has not itself.
        backwards: Whether the last is opened first. Of two sessions of one file that opened first
            is up to 1 % slower, so repetitions take turns in it (docs/benchmark-fidelity.md).

    Raises:
        Exception: Of a required provider: ours, or one of the provider's own.
    """
    runners: list[Runner] = []
    skipped: list[Verdict] = []
    started: list[Provider] = []
    order = [*models][::-1] if backwards else [*models]
    for provider in benchmark.providers:
        try:
            found = {
                label: _open(benchmark, work, models[label], libraries, provider) for label in order
            }
        except Exception as error:  # ours, or one of the provider's own
            if provider.required:
                raise
            skipped.append(Verdict(name=provider.name, outcome="skipped", reason=str(error)))
        else:
            started.append(provider)
            runners += _bound_each_way({label: found[label] for label in models})
    return Opened(runners, skipped, tuple(started))


def _open(
    benchmark: BenchmarkSpec, work: Work, model: Path, libraries: Sequence[str], provider: Provider
) -> tuple[Session, float]:
    """The session, and the milliseconds it took."""
    from onnxproof.runtime import open_session
    from onnxproof.usercode.libraries import find_plugin

    start = time.perf_counter()
    session = open_session(
        model,
        provider.name,
        options=provider.options,
        plugin=find_plugin(provider, work),
        threads=benchmark.threads,
        libraries=libraries,
    )
    return session, (time.perf_counter() - start) * 1e3


def _bound_each_way(sessions: Mapping[str, tuple[Session, float]]) -> Iterator[Runner]:
    """Those of one binding stand together, since they are what is compared."""
    bindings = next(iter(sessions.values()))[0].bindings
    for binding in bindings:
        for label, (session, open_ms) in sessions.items():
            prepare = session.prepare if binding == "host" else session.bind
            device = session.device.kind
            yield Runner(label, session.provider, prepare, binding, device, open_ms)
