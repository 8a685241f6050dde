"""``onnxproof bench``, from the command line."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxproof.records import BenchmarkResult

pytestmark = pytest.mark.prefect
Program = Callable[..., Any]
GRAPH = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[batch, 256] x) => (float[batch, 256] y) { BODY }
"""
SHORT = ("--at", "batch=64", "--set", "samples=60", "--set", "throughput.seconds=0.02")


def file_of(nodes: int, path: Path, kind: str = "float") -> Path:
    steps = ["x", *(f"t{number}" for number in range(1, nodes)), "y"]
    body = " ".join(f"{b} = Erf ({a})" for a, b in itertools.pairwise(steps))
    text = GRAPH.replace("BODY", body).replace("float[", f"{kind}[")
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_a_file_is_timed_beside_another(onnxproof: Program, tmp_path: Path) -> None:
    slow, fast = file_of(8, tmp_path / "slow.onnx"), file_of(2, tmp_path / "fast.onnx")
    found, picture = tmp_path / "found.json", tmp_path / "plot.png"
    ended = onnxproof("bench", slow, "--against", fast, *SHORT, "--png", picture, "--json", found)
    assert ended.code == 0, ended.text
    assert "slow.onnx takes " in ended.text
    assert ": slower" in ended.text
    for heading in ("## Latency", "## Start and memory", "## Throughput", "## Where the time of"):
        assert heading in ended.text
    assert "** slow.onnx" in ended.text  # the plot
    assert "\\x1b" not in ended.text
    assert picture.read_bytes().startswith(b"\x89PNG")
    result = BenchmarkResult.model_validate(json.loads(found.read_text(encoding="utf-8")))
    (ratio,) = result.ratios
    assert (ratio.runner, ratio.over, ratio.repetitions) == ("slow.onnx", "fast.onnx", 6)
    assert ratio.low > 1
    assert [profile.fused for profile in result.profiles] == [{}, {}]
    assert {load.callers for load in result.throughput} >= {1, 2}


def test_a_registered_version_is_timed_as_its_spec_says(
    onnxproof: Program, write_spec: Callable[..., Path], registry: Path, tmp_path: Path
) -> None:
    assert onnxproof("export", write_spec()).code == 0
    ended = onnxproof("bench", "models:/toy@champion", "--set", "samples=20", "--seconds", "0.1")
    assert ended.code == 0, ended.text
    assert "toy version 1" in ended.text
    folders = list(Path(registry).rglob("benchmark.parquet"))
    assert folders, "the samples are kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.onnx"], "there is no none.onnx; give an ONNX file, a folder with a proof, "),
        (["a.onnx"], "a.onnx takes any size of batch, and at which it is fast is the question"),
        (["a.onnx", "--at", "batch"], "cannot read 'batch'; write NAME=VALUE"),
        (["a.onnx", "--at", "batch=x"], "cannot read --at batch=x; write --at batch=8,seq=128"),
        (["a.onnx", "--at", "batch=0"], "cannot time --at batch=0: a size is at least 1"),
        (["a.onnx", *SHORT, "--provider", "CUDA"], "benchmark.providers.0.name: "),
        (
            ["a.onnx", *SHORT, "--provider", "NoSuchExecutionProvider"],
            "asked for NoSuchExecutionProvider, this ONNX Runtime ",
        ),
        (["a.onnx", *SHORT, "--set", "secnds=1"], "benchmark.secnds: Extra inputs"),
        (["a.onnx", *SHORT, "--set", "cpus=[4000]"], "this process may not use [4000]"),
        (
            ["a.onnx", *SHORT, "--against", "b.onnx"],
            "a.onnx takes {'x': 'float32'}, b.onnx {'x': 'float16'}; only models with the same",
        ),
    ],
)
def test_bad_input_is_reported_in_one_paragraph(
    onnxproof: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    file_of(1, tmp_path / "a.onnx")
    file_of(1, tmp_path / "b.onnx", "float16")
    ended = onnxproof("bench", *arguments)
    assert ended.code == (3 if "asked for" in ended.text else 2), ended.text
    assert message in ended.text
    assert "Traceback" not in ended.text
