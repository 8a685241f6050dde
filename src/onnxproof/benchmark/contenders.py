"""What takes part in a benchmark: PyTorch, and every candidate on every execution provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.inputs import Feed
from onnxproof.records import Binding, Verdict, Work
from onnxproof.spec import BenchmarkSpec

if TYPE_CHECKING:
    from onnxproof.runtime import Session

EAGER: Final = "pytorch eager"


class Contender(NamedTuple):
    """Something to time: given a feed, ``prepare`` gives a call without arguments.

    A call ends when the device has ended. With the binding ``device`` inputs and outputs are there
    already; with ``host`` they are the host's, and copying them is part of the call.
    """

    label: str
    provider: str
    prepare: Callable[[Feed], Callable[[], object]]
    binding: Binding = "host"
    device: str = "cpu"


def open_all(
    benchmark: BenchmarkSpec, work: Work, models: Mapping[str, Path], libraries: Sequence[str]
) -> tuple[list[Contender], list[Verdict]]:
    """Every model on every provider, bound each way, and why a provider takes no part.

    Args:
        benchmark: Providers, and threads.
        work: Where plug-ins may come from.
        models: ONNX files by label.
        libraries: Files with operators that ONNX Runtime has not itself.

    Raises:
        Exception: Of a required provider: ours, or one of the provider's own.
    """
    from onnxproof.libraries import find_plugin
    from onnxproof.runtime import open_session

    contenders: list[Contender] = []
    skipped: list[Verdict] = []
    for provider in benchmark.providers:
        try:
            sessions = {
                label: open_session(
                    path,
                    provider.name,
                    options=provider.options,
                    plugin=find_plugin(provider, work),
                    threads=benchmark.threads,
                    libraries=libraries,
                )
                for label, path in models.items()
            }
        except Exception as error:  # ours, or one of the provider's own
            if provider.required:
                raise
            skipped.append(Verdict(name=provider.name, outcome="skipped", reason=str(error)))
        else:
            contenders += _bound_each_way(sessions)
    return contenders, skipped


def _bound_each_way(sessions: Mapping[str, Session]) -> Iterator[Contender]:
    """Those of one binding stand together, since they are what is compared."""
    bindings = next(iter(sessions.values())).bindings
    for binding in bindings:
        for label, session in sessions.items():
            prepare = session.prepare if binding == "host" else session.bind
            device = session.device.kind
            yield Contender(label, session.provider, prepare, binding, device)
