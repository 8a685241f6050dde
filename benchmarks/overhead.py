"""The whole flow against a bare script with the same stages by hand: at most 1.25x its wall time.

Same model, same shapes, same number of samples and of benchmark rounds; the two take turns. With
servers up (`make up`) both use them. The bare script times in two ways, both of them by hand: as
the flow does (models opened anew six times, memory, a profile), and in one plain loop.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.stopwatch import MAKERS, make_files, onnxproof, output_and_seconds
from onnxproof.samples.grid import shape_grid
from onnxproof.settings import apply_environment, read_settings
from onnxproof.spec import Spec, read_spec

RUNS: Final = 3
LIMIT: Final = 1.25
ROUNDS: Final = {"digits-cnn": 500, "minilm": 20}
"""Fixed numbers of benchmark rounds: a few seconds of each model."""


class Wall(NamedTuple):
    """Seconds of one run."""

    whole: float
    with_a_plain_loop: float  # of the script; the flow has one way
    without_benchmark: float


def job_of(spec: Spec) -> dict[str, Any]:
    """What the bare script needs to know."""
    assert spec.source.weights is not None
    return {
        "name": spec.name,
        "factory": spec.source.factory,
        "kwargs": spec.source.kwargs,
        "weights": spec.source.weights.path,
        "inputs": {
            name: input_spec.model_dump(mode="json") for name, input_spec in spec.inputs.items()
        },
        "dims": {name: (dim.min, dim.max) for name, dim in spec.dims.items()},
        "points": shape_grid(spec.dims),
        "samples": spec.check.samples,
        "at": spec.benchmark.at,
        "rounds": ROUNDS[spec.name],
        "threads": spec.benchmark.threads,
    }


def run_bare(spec: Spec) -> Wall:
    """The bare script, from its start to its end."""
    script = Path(__file__).with_name("bare_export.py")
    output, seconds = output_and_seconds([sys.executable, str(script), json.dumps(job_of(spec))])
    measured = json.loads(output.splitlines()[-1])
    likewise, plain = measured["time_likewise"], measured["time_plainly"]
    return Wall(seconds - plain, seconds - likewise, seconds - plain - likewise)


def run_flow(spec: Spec) -> Wall:
    """The program, likewise, although nothing changed."""
    with tempfile.TemporaryDirectory() as folder:
        outcome = Path(folder, "outcome.json")
        command = onnxproof("export", spec.name, "--force", "--json", str(outcome))
        command += ["--set", f"benchmark.samples={ROUNDS[spec.name]}"]
        _, seconds = output_and_seconds(command)
        proof = json.loads(Path(json.loads(outcome.read_text())["proof_path"]).read_text())
    return Wall(seconds, seconds, seconds - proof["benchmark"]["seconds"])


def main() -> None:
    """Print the ratios, with and without the benchmark stage."""
    settings = read_settings()
    apply_environment(settings)  # the bare script talks to the same MLflow
    servers = "up" if settings.prefect_api_url else "down: Prefect's start is part of the flow"
    print(f"servers {servers}; medians of {RUNS} runs in turn; limit {LIMIT}x", flush=True)
    for model in MAKERS:
        make_files(model)
        spec = read_spec(settings.catalog / f"{model}.yaml")
        bare, flow = [], []
        for _ in range(RUNS):
            bare.append(run_bare(spec))
            flow.append(run_flow(spec))
        for part in Wall._fields:
            by_hand = statistics.median(getattr(wall, part) for wall in bare)
            ours = statistics.median(getattr(wall, part) for wall in flow)
            print(
                f"overhead {model:10} {part.replace('_', ' '):17} {ours / by_hand:.2f}x "
                f"({ours:.1f} s against {by_hand:.1f} s by hand)",
                flush=True,
            )


if __name__ == "__main__":
    main()
