"""A model larger than one ONNX file, proven: its weights are held once, and written once.

``python -m benchmarks.large [GIGABYTES]`` builds stacked transformer blocks with seeded weights,
runs every stage up to the proof, and prints memory, bytes written and the simplifier's seconds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from onnxproof.pipeline.direct import DirectStages
from onnxproof.pipeline.plan import make_plan, start_children
from onnxproof.pipeline.search import search_candidates
from onnxproof.records import Proof, Run
from onnxproof.settings import read_settings
from onnxproof.spec import parse_spec

GIGABYTES: Final = 3.2
WIDTH: Final = 2048
VOCABULARY: Final = 32_000
ONE_FILE_GB: Final = 1.8
MEMORY_LIMIT: Final = 1.25
WRITTEN_LIMIT: Final = 1.1
SIMPLIFY_LIMIT_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.05
LIMITED: Final = ("export", "simplify", "check")
"""The stages whose memory has a limit; the benchmark stage times PyTorch and ONNX Runtime in turn,
so both are there."""


@dataclasses.dataclass
class Cost:
    """What one stage took: its highest memory, its seconds."""

    peak_bytes: int = 0
    seconds: float = 0


class Watch:
    """The resident memory of this process and all below it, by the stage that runs."""

    def __init__(self) -> None:
        self.costs: dict[str, list[Cost]] = defaultdict(list)

    def around(self, name: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        """``stage``, measured."""

        def measured(*arguments: Any) -> Any:
            over, cost, start = threading.Event(), Cost(), time.perf_counter()
            self.costs[name].append(cost)
            poll = threading.Thread(target=_poll, args=(cost, over))
            poll.start()
            try:
                return stage(*arguments)
            finally:
                cost.seconds = time.perf_counter() - start
                over.set()
                poll.join()

        return measured


def _poll(cost: Cost, over: threading.Event) -> None:
    while not over.wait(POLL_SECONDS):
        cost.peak_bytes = max(cost.peak_bytes, resident_bytes())


def resident_bytes() -> int:
    """Of every process; a page that several share counts once, mapped files count too."""
    total = 0
    root = psutil.Process()
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def written_bytes() -> int:
    """By this process and those below it that are over or still there.

    Linux adds what a child wrote to its parent's own numbers when the parent has waited for it.
    """
    total = 0
    root = psutil.Process()
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            counters = process.io_counters()
            # The second is zero on a file system in memory, the first knows no mapped files.
            total += max(counters.write_chars, counters.write_bytes)
    return total


def spec_of(gigabytes: float) -> dict[str, Any]:
    """A spec whose model has about so many gigabytes of weights."""
    embedding, block = 4 * VOCABULARY * WIDTH, 4 * 12 * WIDTH * WIDTH
    blocks = max(1, round((gigabytes * 1e9 - embedding) / block))
    kwargs = {"blocks": blocks, "width": WIDTH, "vocabulary": VOCABULARY}
    return {
        "name": "large",
        "source": {"factory": "benchmarks.large_model:build", "kwargs": kwargs},
        "inputs": {"tokens": f"int64[batch, seq] in 0..{VOCABULARY - 1}"},
        "dims": {"batch": {"max": 2}, "seq": {"max": 16}},
        "export": {
            "strategies": ["dynamo"],
            "external_data": "auto" if gigabytes > ONE_FILE_GB else "always",
        },
        "check": {"samples": 1},
        "benchmark": {"samples": 5},
        "limits": {"memory_gb": max(8, 3 * gigabytes)},
    }


def run(gigabytes: float, watch: Watch) -> tuple[Proof, int]:
    """The proof, and the bytes that were written for it."""
    plan = make_plan(parse_spec(spec_of(gigabytes)), (), read_settings(), local_code=True)
    start_children(plan)
    stages = DirectStages()
    for name in [name for name in dir(DirectStages) if not name.startswith("_")]:
        setattr(stages, name, watch.around(name, getattr(stages, name)))
    with plan.working() as work:
        loaded = stages.load(plan.spec, work)
        run = Run(plan.spec, work, loaded)
        proof = stages.conclude(run, plan.key_of(loaded), search_candidates(run, stages))
        return proof, written_bytes()


def report(proof: Proof, written: int, watch: Watch) -> None:
    """Print what was measured, the limits last."""
    weights = proof.loaded.weights_bytes
    assert proof.chosen.weights is not None
    print(
        f"weights {weights / 1e9:.2f} GB, stored {proof.chosen.weights.size_bytes / 1e9:.2f} GB; "
        f"{proof.chosen.label}, {proof.chosen.nodes} nodes"
    )
    stored = proof.chosen.weights.size_bytes
    for name, costs in watch.costs.items():
        for cost in costs:
            print(f"{name:9} {cost.seconds:6.1f} s  {cost.peak_bytes / stored:.2f}x in memory")
    peak = max(cost.peak_bytes for name in LIMITED for cost in watch.costs[name])
    simplify = watch.costs["simplify"][0].seconds
    print(f"memory    {peak / stored:.2f}x the weights (limit {MEMORY_LIMIT}x)")
    print(f"written   {written / stored:.2f}x the weights (limit {WRITTEN_LIMIT}x)")
    print(f"simplify  {simplify:.2f} s (limit {SIMPLIFY_LIMIT_SECONDS:g} s)")


def main() -> None:
    """Prove the model in a folder that is removed again."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else GIGABYTES
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="onnxproof-large-") as home:
        os.environ["ONNXPROOF_HOME"] = str(Path(home))
        proof, written = run(gigabytes, watch)
    report(proof, written, watch)


if __name__ == "__main__":
    main()
