"""One process for all runners, or one for each: which is nearer to a runner that is alone?

``python -m benchmarks.fidelity.processes`` times PyTorch and ONNX Runtime on the same layers three
ways: alone in a fresh process, in turn in one process, and in turn in two that wait for their turn.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from benchmarks.fidelity.models import LARGE, SMALL, TINY, Chain, save
from onnxproof.benchmark.rounds import take_samples
from onnxproof.benchmark.warmup import warm_up

REPEATS: Final = 5
SECONDS: Final = 1.0
WAYS: Final = ("alone", "one process", "a process each")
KINDS: Final = ("PyTorch", "ONNX Runtime")
CONTEXT: Final = multiprocessing.get_context("spawn")


def call_of(kind: str, chain: Chain, path: Path) -> Callable[[], object]:
    """A warm call of the chain's layers."""
    import numpy as np
    import torch

    from onnxproof.runtime import open_session

    rows = np.random.default_rng(1).normal(size=(chain.batch, chain.width)).astype(np.float32)
    if kind == "ONNX Runtime":
        call: Callable[[], object] = open_session(path, threads=1).prepare({"x": rows})
    else:
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        layers = [
            layer
            for _ in range(chain.layers)
            for layer in (torch.nn.Linear(chain.width, chain.width), torch.nn.ReLU())
        ]
        module, tensor = torch.nn.Sequential(*layers).eval(), torch.from_numpy(rows)
        call = lambda: module(tensor)  # noqa: E731
    warm_up(call)
    return call


def together(kinds: tuple[str, ...], chain: Chain, path: Path, sender: Connection) -> None:
    """In a process: these runners in turn."""
    calls = [call_of(kind, chain, path) for kind in kinds]
    taken = take_samples(calls, 0, seconds=SECONDS)
    sender.send([statistics.median(sample) for sample in taken])


def in_turn(kind: str, chain: Chain, path: Path, pipe: Connection) -> None:
    """In a process: one call whenever it is told to."""
    call = call_of(kind, chain, path)
    pipe.send("warm")
    while pipe.recv():
        before = time.perf_counter_ns()
        call()
        pipe.send((time.perf_counter_ns() - before) / 1e6)


def medians(way: str, chain: Chain, path: Path) -> list[float]:
    """Milliseconds of PyTorch and of ONNX Runtime."""
    if way == "alone":
        return [_together((kind,), chain, path)[0] for kind in KINDS]
    if way == "one process":
        return _together(KINDS, chain, path)
    pipes, processes = [], []
    for kind in KINDS:
        here, there = CONTEXT.Pipe()
        process = CONTEXT.Process(target=in_turn, args=(kind, chain, path, there))
        process.start()
        pipes.append(here)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()

    def turn(pipe: Connection) -> float:
        pipe.send(True)
        return float(pipe.recv())

    samples: list[list[float]] = [[] for _ in KINDS]
    start = time.monotonic()
    while time.monotonic() - start < SECONDS:
        for pipe, into in zip(pipes, samples, strict=True):
            into.append(turn(pipe))
    for pipe, process in zip(pipes, processes, strict=True):
        pipe.send(False)
        process.join()
    return [statistics.median(sample) for sample in samples]


def _together(kinds: tuple[str, ...], chain: Chain, path: Path) -> list[float]:
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=together, args=(kinds, chain, path, sender))
    process.start()
    found: list[float] = receiver.recv()
    process.join()
    return found


def main() -> None:
    """Print a table: each way over alone, median and range of the repeats."""
    print("| model | runner | alone, ms | one process | a process each |")
    print("| --- | --- | --- | --- | --- |")
    for chain in (TINY, SMALL, LARGE):
        with tempfile.TemporaryDirectory() as folder:
            path = save(chain, Path(folder, "model.onnx"))
            found = [{way: medians(way, chain, path) for way in WAYS} for _ in range(REPEATS)]
        for number, kind in enumerate(KINDS):
            alone = statistics.median(repeat["alone"][number] for repeat in found)
            cells = []
            for way in WAYS[1:]:
                ratios = sorted(repeat[way][number] / repeat["alone"][number] for repeat in found)
                cells.append(
                    f"{statistics.median(ratios):.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                )
            print(f"| {chain.name} | {kind} | {alone:.3f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
