"""Where time goes: kernels of a run, summed by operator and by module of the PyTorch model."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from onnxproof.records import ModuleTime, OperatorTime, Profile, Work
from onnxproof.spec import Provider
from onnxproof.usercode.libraries import find_plugin

if TYPE_CHECKING:
    import onnx

    from onnxproof.benchmark.repetitions import Workload
    from onnxproof.runtime import Kernel

    Runs = Sequence[Sequence[Kernel]]

WARM_RUNS: Final = 3
MOST_RUNS: Final = 20
SECONDS: Final = 0.1
"""Of profiled runs, one at least."""
MOST_BYTES: Final = 1_500_000_000
"""Of a model whose rewritten graph is written down, its weights beside it, to see what became of
nodes; a larger one is summed by operator alone."""
RUNTIME: Final = "(ONNX Runtime)"
COMPILED_NODES: Final = "contains compiled nodes"
"""What ONNX Runtime 1.32 says where a provider compiled nodes (OpenVINO's on Intel): such a graph
cannot be written down, and is summed by operator alone."""
BLOCKED: Final = "_nchwc"
"""What ONNX Runtime (nchwc_transformer.cc) calls a node in a blocked layout: the tensor it stands
for and this. That tensor's own name is gone where the next node takes blocks too."""
Group = TypeVar("Group")


class Profiled(NamedTuple):
    """A model to look at."""

    label: str
    path: Path
    modules: Mapping[str, str]  # tensor to the module it comes from; empty where nobody noted it


def profiles(
    workload: Workload,
    work: Work,
    models: Sequence[Profiled],
    providers: Sequence[Provider],
    libraries: Sequence[str],
) -> Iterator[Profile]:
    """Of every model on every provider, at the first point, in sessions of their own."""
    for provider in providers:
        for model in models:
            yield profile_of(workload, work, model, provider, libraries)


def profile_of(
    workload: Workload, work: Work, model: Profiled, provider: Provider, libraries: Sequence[str]
) -> Profile:
    """Of one model on one provider."""
    import onnx

    from onnxproof.runtime import (
        Profiling,
        convolution_weights,
        flops,
        kernels_by_run,
        open_session,
    )

    small = sum(file.stat().st_size for file in model.path.parent.iterdir()) < MOST_BYTES
    with tempfile.TemporaryDirectory(dir=work.folder) as folder:
        rewritten = Path(folder, "model.onnx") if small else None
        open_with = partial(
            open_session,
            model.path,
            provider.name,
            options=provider.options,
            plugin=find_plugin(provider, work),
            threads=workload.benchmark.threads,
            libraries=libraries,
        )
        try:
            session = open_with(profile=Profiling(Path(folder), rewritten))
        except Exception as error:  # ONNX Runtime raises classes of its own
            if COMPILED_NODES not in str(error):
                raise
            session = open_with(profile=Profiling(Path(folder), None))
        run = session.prepare(workload.feed(workload.points[0]))
        for _ in range(WARM_RUNS):
            run()
        start, count = time.monotonic(), 0
        while count < 1 or (count < MOST_RUNS and time.monotonic() - start < SECONDS):
            run()
            count += 1
        runs = kernels_by_run(session.end_profile())[-count:]
        graph = None
        if rewritten is not None and rewritten.is_file():
            graph = onnx.load(rewritten, load_external_data=False)
    return Profile(
        runner=model.label,
        provider=provider.name,
        runs=count,
        kernels_ms=statistics.median(
            sum(kernel.microseconds for kernel in run) / 1e3 for run in runs
        ),
        operators=tuple(_by_operator(runs)),
        modules=tuple(_by_module(runs, graph, model.modules)) if graph else (),
        fused=_fused(model.path, graph) if graph else {},
        flops=flops(runs[-1], convolution_weights(graph)) if graph else None,
    )


def _by_operator(runs: Runs) -> Iterator[OperatorTime]:
    calls = Counter((kernel.operator, kernel.provider) for kernel in runs[-1])
    for (operator, provider), spent, share in _shares(
        runs, lambda kernel: (kernel.operator, kernel.provider)
    ):
        yield OperatorTime(
            operator=operator,
            provider=provider,
            calls=calls[operator, provider],
            milliseconds=spent,
            share=share,
        )


def _by_module(
    runs: Runs, graph: onnx.ModelProto, modules: Mapping[str, str]
) -> Iterator[ModuleTime]:
    if not modules:
        return
    homes = _homes(graph, modules)
    for module, spent, share in _shares(runs, lambda kernel: homes.get(kernel.node, RUNTIME)):
        yield ModuleTime(module=module, milliseconds=spent, share=share)


def _shares(runs: Runs, key: Callable[[Kernel], Group]) -> Iterator[tuple[Group, float, float]]:
    """Milliseconds and share of each group of kernels, medians over runs, longest first."""
    spent: dict[Group, list[float]] = defaultdict(lambda: [0.0] * len(runs))
    for number, run in enumerate(runs):
        for kernel in run:
            spent[key(kernel)][number] += kernel.microseconds / 1e3
    medians = {group: statistics.median(per_run) for group, per_run in spent.items()}
    whole = sum(medians.values())
    for group in sorted(medians, key=lambda label: -medians[label]):
        yield group, medians[group], medians[group] / whole if whole else 0.0


def _homes(graph: onnx.ModelProto, modules: Mapping[str, str]) -> dict[str, str]:
    """Module of each node of a rewritten graph.

    A fusion keeps the name of its last tensor. What it put before that (a reshape, a layout of its
    own) belongs to whom it hands on to.
    """
    homes: dict[str, str] = {}
    takers: dict[str, list[str]] = defaultdict(list)
    for number, node in reversed(list(enumerate(graph.graph.node))):  # takers come first
        key = node.name or f"#{number}"  # ONNX Runtime calls all that have no name alike
        names = (*node.output, node.name.removesuffix(BLOCKED))
        named = [modules[name] for name in names if name in modules]
        handed = [homes[taker] for name in node.output for taker in takers[name] if taker in homes]
        if named or handed:
            homes[key] = (named or handed)[0]
        for name in node.input:
            takers[name].append(key)
    return homes


def _fused(path: Path, graph: onnx.ModelProto) -> dict[str, int]:
    """Nodes of operators that the rewritten graph has and the file has not."""
    import onnx

    from onnxproof.graph.traversal import nodes_of

    written = {node.op_type for node in nodes_of(onnx.load(path, load_external_data=False))}
    counts = Counter(node.op_type for node in nodes_of(graph))
    return {name: count for name, count in counts.most_common() if name not in written}
