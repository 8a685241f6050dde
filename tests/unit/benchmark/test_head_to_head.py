from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxproof.benchmark.head_to_head import HeadToHead, HeadToHeadRequest, compare_models
from onnxproof.benchmark.memory import MemoryRequest, memory_in_child
from onnxproof.benchmark.repetitions import FEWEST_REPETITIONS, Workload
from onnxproof.records import Work
from onnxproof.spec import Provider, Spec
from tests.helpers.graphs import AFFINE, save
from tests.helpers.specs import spec_of, work_in

WIDE: dict[str, Any] = {"inputs": {"x": "float32[batch, 1024]"}, "dims": {"batch": {"max": 64}}}
CHAIN = """
    <ir_version: 8, opset_import: ["" : 18]>
    chain (float[batch, 1024] x) => (float[batch, 1024] y) {{ {nodes} }}
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def chain(length: int, work: Work, name: str) -> Path:
    names = ["x", *(f"t{number}" for number in range(1, length)), "y"]
    nodes = " ".join(f"{b} = Erf ({a})" for a, b in itertools.pairwise(names))
    (Path(work.folder) / name).mkdir()
    inner = work_in(Path(work.folder) / name)
    return Path(inner.path(save(CHAIN.format(nodes=nodes), inner).model.path))


def spec_at(batch: int, samples: int = 100, **gates: float) -> Spec:
    benchmark = {"samples": samples, "at": [{"batch": batch}]}
    return spec_of(**WIDE, benchmark=benchmark, gates=gates)


def fought(spec: Spec, work: Work, models: dict[str, Path]) -> HeadToHead:
    return compare_models(HeadToHeadRequest(Workload.of(spec), work, models, spec.gates))


def test_a_graph_of_twice_the_work_is_reported_from_its_half(work: Work) -> None:
    models = {"long": chain(8, work, "a"), "short": chain(4, work, "b")}
    found = fought(spec_at(32), work, models)
    (ratio,) = found.result.ratios
    assert (ratio.runner, ratio.over, ratio.where) == ("long", "short", "CPUExecutionProvider")
    assert ratio.low > 1.05
    assert ratio.repetitions == found.repetitions == FEWEST_REPETITIONS
    assert [latency.runner for latency in found.result.latencies] == ["long", "short"]
    assert {latency.samples for latency in found.result.latencies} == {34}
    assert {len(sample) for sample in found.samples_ms.values()} == {34}


def test_modules_are_reported_as_far_as_a_file_names_them(work: Work) -> None:
    path = chain(1, work, "a")
    model = onnx.load(path)
    model.graph.node[0].name = "/body/body.0/Erf"
    onnx.save(model, path)
    request = HeadToHeadRequest(Workload.of(spec_at(1, 6)), work, {"named": path}, profiled=True)
    (profile,) = compare_models(request).result.profiles
    assert [module.module for module in profile.modules] == ["body.0"]


def test_one_alone_is_timed_for_gates_of_its_own(work: Work) -> None:
    found = fought(spec_at(1), work, {"only": chain(1, work, "a")})
    assert found.result.ratios == ()
    assert list(found.samples_ms) == ["batch=1 on CPUExecutionProvider"]


def test_repetitions_go_on_while_a_gate_is_open_and_end_in_time(work: Work) -> None:
    models = {"one": chain(1, work, "a")}
    # 368 samples settle it, 30 a repetition.
    spec = spec_at(1, 600, max_p99_ms=1000, longest_seconds=20)
    assert FEWEST_REPETITIONS < fought(spec, work, models).repetitions <= 25
    spec = spec_at(1, 600, max_p99_ms=1000, longest_seconds=1e-3)
    assert fought(spec, work, models).repetitions == FEWEST_REPETITIONS


def test_memory_is_the_peak_beyond_what_was_there(work: Work) -> None:
    small, large = (
        memory_in_child(MemoryRequest(Workload.of(spec_at(batch)), work, model, Provider()))
        for batch, model in ((1, chain(2, work, "a")), (64, chain(2, work, "b")))
    )
    assert 0 <= small.peak_bytes < 64 << 20
    assert large.peak_bytes < 64 << 20
    assert small.device_bytes is None


def test_names_of_the_graph_need_not_be_those_of_another(work: Work) -> None:
    path = Path(work.path(save(AFFINE, work).model.path))
    found = fought(spec_of(benchmark={"samples": 3}), work, {"a": path, "b": path})
    assert len(found.result.ratios) == 1
