"""What a proof costs beside one export: reference and check, at default budgets."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from torch import nn

from onnxproof.check.stage import check_candidate
from onnxproof.errors import StageError
from onnxproof.export.stage import export_onnx
from onnxproof.isolation.child import prepare_children, run_in_child
from onnxproof.pipeline.load import load_source
from onnxproof.records import Run, Work
from onnxproof.spec import Limits, parse_spec

ROOT: Final = Path(__file__).resolve().parents[1]
BATCH: Final = {"batch": {"min": 1, "max": 8}}
DEPTHS: Final = (3, 4, 6, 3)
MODELS: Final[dict[str, dict[str, Any]]] = {
    "ResNet-50": {
        "source": {"factory": "benchmarks.fault_cost:resnet50"},
        "inputs": {"image": "float32[batch, 3, 224, 224]"},
        "dims": BATCH,
    },
    "MiniLM": {
        "source": {"factory": "benchmarks.fault_cost:minilm"},
        "inputs": {
            "input_ids": "int64[batch, seq] in 0..30521",
            "attention_mask": "int64[batch, seq] mask",
        },
        "dims": BATCH | {"seq": {"min": 1, "max": 128}},
    },
}


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the way around them."""

    def __init__(self, inside: int, width: int, stride: int) -> None:
        super().__init__()
        outside = 4 * width
        self.body = nn.Sequential(
            *_normed(inside, width, 1, 1), nn.ReLU(), *_normed(width, width, 3, stride),
            nn.ReLU(), *_normed(width, outside, 1, 1),
        )  # fmt: skip
        alike = stride == 1 and inside == outside
        self.around = (
            nn.Identity() if alike else nn.Sequential(*_normed(inside, outside, 1, stride))
        )
        self.relu = nn.ReLU()

    def forward(self, x: Any) -> Any:
        """Same rank, ``stride`` times smaller."""
        return self.relu(self.body(x) + self.around(x))


def _normed(inside: int, outside: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(inside, outside, size, stride, size // 2, bias=False)
    return convolution, nn.BatchNorm2d(outside)


def resnet50() -> nn.Module:
    """25.6 million parameters, random."""
    layers: list[nn.Module] = [*_normed(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inside = 64
    for stage, depth in enumerate(DEPTHS):
        width = 64 << stage
        for index in range(depth):
            layers.append(Bottleneck(inside, width, 2 if stage and not index else 1))
            inside = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 1000))


def minilm() -> nn.Module:
    """BERT of MiniLM-L6's size, 22.7 million parameters, random."""
    from transformers import BertConfig, BertModel

    from examples.minilm import SentenceEncoder

    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    return SentenceEncoder(BertModel(config, add_pooling_layer=False))


class Cost(NamedTuple):
    """Seconds of the three stages, children and imports included."""

    load: float
    export: float
    check: float

    def line(self, name: str) -> str:
        """One row of a table."""
        ratio = (self.load + self.check) / self.export
        return f"| {name} | {self.load:.1f} | {self.check:.1f} | {self.export:.1f} | {ratio:.2f} |"


def cost_of(name: str) -> Cost:
    """One run of load, export by dynamo and check."""
    spec = parse_spec({"name": name.lower(), **MODELS[name]}, name)
    with tempfile.TemporaryDirectory(prefix="onnxproof-cost-") as folder:
        work = Work(
            folder=folder, roots=(str(ROOT),), allow=("benchmarks",), metadata={}, local_code=False
        )
        load, loaded = _timed(lambda: load_source(spec, work))
        export, candidate = _timed(lambda: export_onnx(Run(spec, work, loaded), "dynamo"))
        check, verdicts = _timed(lambda: check_candidate(Run(spec, work, loaded), candidate))
        points = [point for point in loaded.reference.points if point.outcome != "passed"]
    print(f"{name}: {verdicts.reason or 'proven'}; {len(points)} points left out of the reference")
    return Cost(load, export, check)


def _wait_for_the_fork_server() -> None:
    """What it imports serves all stages, and the first is not to wait for it alone."""
    with tempfile.TemporaryDirectory(prefix="onnxproof-cost-") as folder:
        log = Path(folder, "log")
        run_in_child(int, 0, failed=StageError, limits=Limits(), log=log, doing="nothing")


def _timed(stage: Callable[[], Any]) -> tuple[float, Any]:
    start = time.monotonic()
    result = stage()
    return time.monotonic() - start, result


def print_cost() -> None:
    """A table; the last column is to be 1 at most."""
    prepare_children()
    _wait_for_the_fork_server()
    lines = [cost_of(name).line(name) for name in MODELS]
    print("| model | reference s | check s | export by dynamo s | (reference + check) / export |")
    print("|---|---|---|---|---|")
    print("\n".join(lines))
