"""Latency of the fastest proven graph beside every single way, over the plain dynamo graph.

``python -m benchmarks.latency`` takes every model in turn and writes what it found to
``artifacts/latency/MODEL.json``; a model that is there already is only printed, so a run that was
cut short goes on where it stopped. Everything is opened anew for each of several repetitions;
ratios are of rounds, and the 95 % intervals are over repetitions. "Ours" is one of the columns: the
chosen.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.stopwatch import ROOT, make_files
from onnxproof.benchmark.pytorch import baseline
from onnxproof.benchmark.ratios import Interval, ratio_over_repetitions
from onnxproof.benchmark.rounds import take_samples
from onnxproof.benchmark.warmup import warm_up
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.direct import DirectStages
from onnxproof.pipeline.search import search_candidates
from onnxproof.records import Proof, Run, Work
from onnxproof.runtime import open_session
from onnxproof.samples.generate import draw
from onnxproof.spec import Spec, parse_spec

FOUND: Final = ROOT / "artifacts" / "latency"
BASE: Final = "dynamo"
MARGIN: Final = 1.02
"""Ours is not shown to be slower than the best ONNX column by more than this."""
REPETITIONS: Final = 4
FEWEST_ROUNDS: Final = 30
"""In all, from which the claim is judged; with fewer, give more ``--seconds``."""
TEXT: Final = {
    "inputs": {
        "input_ids": "int64[batch, seq] in 0..30521",
        "attention_mask": "int64[batch, seq] mask",
    },
    "dims": {"batch": {"max": 16}, "seq": {"max": 128}},
}
EAGER: Final = {"eager": {"attn_implementation": "eager"}}


def _pixels(*shape: int) -> dict[str, Any]:
    sizes = ", ".join(map(str, shape))
    return {"inputs": {"pixels": f"float32[batch, {sizes}]"}, "dims": {"batch": {"max": 4}}}


MODELS: Final[dict[str, dict[str, Any]]] = {
    "minilm": {**TEXT, "at": {"batch": 8, "seq": 128}, "variants": EAGER},
    "bert_base": {**TEXT, "at": {"batch": 1, "seq": 128}, "variants": EAGER},
    "vit_base": {**_pixels(3, 224, 224), "at": {"batch": 1}, "variants": EAGER},
    "whisper_encoder": {**_pixels(80, 3000), "at": {"batch": 1}, "variants": EAGER},
    "convnext": {**_pixels(3, 224, 224), "at": {"batch": 1}, "variants": {}},
    "resnet": {**_pixels(3, 224, 224), "at": {"batch": 1}, "variants": {}},
}
"""Names of factories in ``benchmarks.latency_models``, and what their specs have."""


def spec_of(model: str, seconds: float, threads: int) -> Spec:
    """The spec of a model; one point is timed."""
    entry = MODELS[model]
    return parse_spec(
        {
            "name": model,
            "source": {
                "factory": f"benchmarks.latency_models:{model}",
                "variants": entry["variants"],
            },
            "inputs": entry["inputs"],
            "dims": entry["dims"],
            "export": {"search": "fastest"},
            "check": {"samples": 2},
            "benchmark": {"at": [entry["at"]], "seconds": seconds, "threads": threads},
            # All candidates are open at once while they are timed.
            "limits": {"seconds": 3600, "memory_gb": 24},
        }
    )


def proven(spec: Spec, work: Work) -> Proof:
    """All candidates of a model, and which one onnxproof chose."""
    prepare_children()
    stages = DirectStages()
    run = Run(spec, work, stages.load(spec, work))
    return stages.conclude(run, "0" * 64, search_candidates(run, stages))


@contextmanager
def runners(
    spec: Spec, work: Work, proof: Proof
) -> Iterator[tuple[dict[str, Callable[[], object]], dict[str, str]]]:
    """Calls by column, and why a column is missing."""
    feed = draw(spec.inputs, {**spec.benchmark.at[0]}, spec.check.seed, 0)
    columns: dict[str, Callable[[], object]] = {}
    missing: dict[str, str] = {}

    def open_graph(path: str) -> Callable[[], object]:
        return open_session(Path(work.path(path)), threads=spec.benchmark.threads).prepare(feed)

    for attempt in proof.attempts:
        if attempt.outcome == "passed" and attempt.candidate is not None:
            columns[attempt.label] = open_graph(attempt.candidate.model.path)
        else:
            missing[attempt.label] = attempt.reason
    with baseline(spec, work) as pytorch:
        if pytorch is None:
            raise SystemExit("PyTorch has no CPU here")
        columns["torch eager"] = pytorch.eager()[0].prepare(feed)
        try:
            torch.compiler.reset()
            call = pytorch.compiled()[0].prepare(feed)
            call()
            columns["torch.compile"] = call
        except Exception as error:  # no compiler on this machine, or a model that it breaks on
            missing["torch.compile"] = " ".join(str(error).split())[:200]
        yield columns, missing


def measure(model: str, seconds: float, threads: int) -> dict[str, Any]:
    """Prove every candidate of a model, then time all of them and PyTorch in turn."""
    spec = spec_of(model, seconds, threads)
    folder = FOUND / model
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    work = Work(folder=str(folder), roots=(str(ROOT),), allow=(), metadata={}, local_code=True)
    proof = proven(spec, work)
    samples: dict[str, list[list[float]]] = defaultdict(list)
    for repetition in range(REPETITIONS):
        print(f"{model}: repetition {repetition + 1} of {REPETITIONS}", file=sys.stderr)
        with runners(spec, work, proof) as (columns, missing):
            for call in columns.values():
                warm_up(call)
            taken = take_samples(list(columns.values()), repetition, seconds=spec.benchmark.seconds)
        for name, times_ms in zip(columns, taken, strict=True):
            samples[name].append(times_ms)
        del columns  # before there are as many sessions again
    if BASE not in samples:
        raise SystemExit(f"{model}: no plain dynamo graph to compare with: {missing[BASE]}")
    samples = {name: sample for name, sample in samples.items() if len(sample) == REPETITIONS}
    over_base = {
        name: ratio_over_repetitions([sample], [samples[BASE]]) for name, sample in samples.items()
    }
    best = min(filter(is_onnx, samples), key=lambda name: over_base[name].ratio)
    ours = proof.chosen.label
    shutil.rmtree(folder)
    return {
        "model": model,
        "at": spec.benchmark.at[0],
        "threads": threads,
        "rounds": sum(map(len, samples[BASE])),
        "repetitions": REPETITIONS,
        "made": time.strftime("%Y-%m-%d"),
        "toolchain": proof.versions.toolchain,
        "chosen": ours,
        "p50_ms": {name: _p50(sample) for name, sample in samples.items()},
        "over_dynamo": over_base,
        "best": best,
        "ours_over_best": ratio_over_repetitions([samples[ours]], [samples[best]]),
        "missing": missing,
    }


def is_onnx(column: str) -> bool:
    """Whether it is a way to an ONNX graph, and not PyTorch."""
    return not column.startswith("torch")


def _p50(repetitions: list[list[float]]) -> float:
    return statistics.median(sample for repetition in repetitions for sample in repetition)


def show(found: dict[str, Any]) -> bool:
    """Print one model's table; whether the claim holds for it."""
    where = ", ".join(f"{name} {size}" for name, size in found["at"].items())
    print(
        f"\n## {found['model']} ({where}; {found['threads']} thread, {found['rounds']} rounds in "
        f"{found['repetitions']} repetitions, "
        f"{found['made']})\n\n| graph | p50 ms | over plain dynamo | 99 % interval |\n"
        "| --- | --- | --- | --- |"
    )
    for name, p50_ms in sorted(found["p50_ms"].items(), key=lambda item: float(item[1])):
        ratio, low, high = found["over_dynamo"][name]
        label = f"**ours: {name}**" if name == found["chosen"] else name
        print(f"| {label} | {p50_ms:.2f} | {ratio:.3f} | {low:.3f} to {high:.3f} |")
    for name, reason in found["missing"].items():
        print(f"- {name}: {reason.splitlines()[0][:160]}")
    ours = Interval(*found["ours_over_best"])
    verdict = "holds" if ours.low <= MARGIN else "DOES NOT HOLD"
    if found["rounds"] < FEWEST_ROUNDS:
        verdict = f"not judged below {FEWEST_ROUNDS} rounds"
    print(
        f"\nOurs over the best column, {found['best']}: {ours.ratio:.3f} "
        f"({ours.low:.3f} to {ours.high:.3f}); {verdict}."
    )
    return verdict == "holds"


def main() -> None:
    """Measure what is not there yet, and print all; ends with 1 where the claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seconds", type=float, default=60, help="of timing in each repetition")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="measure what is there already too")
    options = parser.parse_args()
    held = []
    for model in options.only:
        path = FOUND / f"{model}.json"
        if options.again or not path.is_file():
            if model == "minilm":
                make_files(model)
            found = measure(model, options.seconds, options.threads)
            path.write_text(json.dumps(found, indent=2), encoding="utf-8")
        held.append(show(json.loads(path.read_text(encoding="utf-8"))))
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
