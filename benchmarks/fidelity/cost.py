"""How long the benchmark stage takes for the demo models, at the default budget and batch 1."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.fidelity.rows import Row
from benchmarks.json_lines import versions
from benchmarks.stopwatch import ROOT
from onnxproof.pipeline.direct import DirectStages
from onnxproof.records import Run, Work
from onnxproof.spec import override, parse_spec

DEMOS: Final = ("digits-cnn", "minilm")


def cost(number: int, folder: Path) -> Row:
    """PyTorch, the plain graph and the simplified one, as a run of the flow times them."""
    import yaml

    name = DEMOS[number]
    catalog = ROOT / "deployments" / "catalog" / f"{name}.yaml"
    data: Any = yaml.safe_load(catalog.read_text(encoding="utf-8"))
    data.pop("benchmark", None)
    sizes = ", ".join(f"{dim}: 1" for dim in data["dims"] if dim == "batch")
    spec = parse_spec(override(data, [f"benchmark.at=[{{{sizes}}}]"]), name)
    work = Work(folder=str(folder), roots=(str(ROOT),), allow=(), metadata={}, local_code=True)
    stages = DirectStages()
    run = Run(spec, work, stages.load(spec, work))
    plain = stages.export(run, "dynamo")
    both = (plain, stages.simplify(run, plain, "onnxsim"))
    start = time.monotonic()
    found = stages.benchmark(run, both)
    return Row(
        name=f"cost {number}",
        part="cost",
        first=name,
        second="PyTorch, plain, simplified",
        ratio=1.0,
        repetitions=found.ratios[0].repetitions,
        rounds=found.ratios[0].rounds,
        seconds=time.monotonic() - start,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        cpu_model=found.environment.cpu_model if found.environment else "",
    )
