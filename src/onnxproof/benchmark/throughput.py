"""Calls a second: over sizes of one dim, and of several callers of one session at once.

Not paired: a runner has the machine for itself for a while, since callers that use all of it
cannot take turns. Read differences of a few percent as noise.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from onnxproof.benchmark.repetitions import Workload
from onnxproof.benchmark.runners import Runner
from onnxproof.benchmark.summary import percentile
from onnxproof.benchmark.warmup import warm_up
from onnxproof.progress import say
from onnxproof.records import Throughput
from onnxproof.samples.grid import Sizes, label


def throughput(
    workload: Workload, open_runners: Callable[[], Sequence[Runner]]
) -> Iterator[Throughput]:
    """Throughput of each runner: over the sizes with one caller, then over numbers of callers."""
    asked = workload.benchmark.throughput
    if asked is None:
        return
    runners = open_runners()
    first = workload.points[0]
    loads = [({**first, asked.dim: size}, 1) for size in asked.sizes]
    loads += [(first, callers) for callers in asked.callers]
    for number, ((sizes, callers), runner) in enumerate(itertools.product(loads, runners)):
        load_name = f"{callers} callers" if callers > 1 else label(sizes)
        say("benchmark", f"throughput, {load_name}", number, len(loads) * len(runners))
        yield measure(runner, workload, sizes, callers, asked.seconds)


def measure(
    runner: Runner, workload: Workload, sizes: Sizes, callers: int, seconds: float
) -> Throughput:
    """Calls that all callers together end within ``seconds``, after a warm-up by one of them."""
    feed = workload.feed(sizes)
    calls = [runner.prepare(feed) for _ in range(callers)]
    warm_up(calls[0], again=True)
    begin = threading.Barrier(callers)
    gc.disable()
    try:
        with ThreadPoolExecutor(callers) as pool:
            called = [pool.submit(_call, runner, begin, call, seconds) for call in calls]
            ended = [future.result() for future in called]
    finally:
        gc.enable()
    samples_ms = [sample for _, taken in ended for sample in taken]
    wall = max(spent for spent, _ in ended)
    dim = workload.benchmark.throughput.dim if workload.benchmark.throughput else ""
    return Throughput(
        runner=runner.label,
        where=runner.where,
        dims=sizes,
        callers=callers,
        calls=len(samples_ms),
        calls_per_second=len(samples_ms) / wall,
        items_per_second=len(samples_ms) * sizes.get(dim, 1) / wall,
        p50_ms=statistics.median(samples_ms),
        p99_ms=percentile(samples_ms, 99),
    )


def _call(
    runner: Runner, begin: threading.Barrier, call: Callable[[], object], seconds: float
) -> tuple[float, list[float]]:
    """Seconds until the last call ended, and milliseconds of each call, one at least."""
    taken: list[float] = []
    with runner.inside():
        begin.wait()
        start = before = time.perf_counter()
        while not taken or before - start < seconds:
            call()
            after = time.perf_counter()
            taken.append((after - before) * 1e3)
            before = after
    return before - start, taken
