from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from onnxproof.benchmark.stage import measure, measure_in_child
from onnxproof.errors import BenchmarkError
from onnxproof.records import BenchmarkResult, Candidate, Run, Work
from onnxproof.runtime import Session, open_session
from onnxproof.spec import Spec
from onnxproof.spec.dims import Dim
from tests.helpers.graphs import AFFINE, affine_reference, save
from tests.helpers.specs import spec_of, work_in

SLOW = """
    <ir_version: 8, opset_import: ["" : 18]>
    affine (float[batch, 4] x) => (float[batch, 4] y) <float[4] bias = {1, 2, 3, 4}>
    { a = Erf(x) b = Erf(a) c = Erf(b) d = Erf(c) e = Erf(d) f = Erf(e) y = Add(f, bias) }
"""


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxproof.benchmark.warmup.WINDOW_SECONDS", 0)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def asked(**section: Any) -> Spec:
    return spec_of(benchmark={"samples": 12, **section})


def measured(spec: Spec, work: Work, *candidates: Candidate) -> BenchmarkResult:
    return measure_in_child(spec, work, candidates)


def test_a_start_is_reported_for_everything_that_was_timed(work: Work) -> None:
    result = measured(asked(), work, save(AFFINE, work))
    eager, graph = result.startups
    assert (eager.runner, eager.where, eager.open_ms) == ("pytorch eager", "PyTorch", None)
    assert (graph.runner, graph.where) == ("trace", "CPUExecutionProvider")
    for startup in (eager, graph):
        assert startup.first_run_ms > 0
        assert startup.new_shape_ms is not None  # batch=3 is timed, another size is run once
        assert startup.new_shape_ms > 0
    assert graph.open_ms is not None
    assert graph.open_ms > 0


def test_a_model_of_one_shape_has_no_run_at_another(work: Work) -> None:
    spec = asked().model_copy(update={"dims": {"batch": Dim(min=3, max=3)}})
    assert [
        startup.new_shape_ms for startup in measured(spec, work, save(AFFINE, work)).startups
    ] == [
        None,
        None,
    ]


def test_size_and_memory_are_those_of_a_process_that_opens_nothing_else(work: Work) -> None:
    candidate = save(AFFINE, work)
    result = measure(Run(asked(), work, affine_reference(work)), (candidate,))
    eager, graph = result.startups
    assert (eager.size_bytes, eager.peak_bytes) == (None, None)
    assert graph.size_bytes == candidate.size_bytes
    assert graph.peak_bytes is not None
    assert 0 < graph.peak_bytes < 100 << 20
    assert result.peak_bytes("trace") == graph.peak_bytes
    assert graph.device_bytes is None


def test_repetitions_open_everything_anew_from_either_end(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def note(model: Path, *args: Any, **options: Any) -> Session:
        opened.append(model.parent.name)
        return open_session(model, *args, **options)

    monkeypatch.setattr("onnxproof.runtime.open_session", note)
    plain, simplified = save(AFFINE, work), save(AFFINE, work, "trace", "onnxsim")
    measured(asked(samples=3), work, plain, simplified)
    there, back = ["trace", "trace+onnxsim"], ["trace+onnxsim", "trace"]
    assert opened == [*there, *back, *there, *there]  # and once more for their profiles


def test_what_three_repetitions_show_to_be_far_slower_leaves(work: Work) -> None:
    slow = save(SLOW, work, "script")
    spec = spec_of(dims={"batch": {"max": 512}}, benchmark={"samples": 100, "at": [{"batch": 512}]})
    result = measured(spec, work, save(AFFINE, work), slow)
    counts = {latency.runner: latency.samples for latency in result.latencies}
    assert (counts["pytorch eager"], counts["trace"]) == (34, 34)
    assert 18 <= counts["script"] < 34
    (ratio,) = result.ratios
    assert (ratio.runner, ratio.over) == ("script", "trace")
    assert 3 <= ratio.repetitions < 6
    assert ratio.low > 1


def test_torch_compile_takes_part_where_it_is_asked_for(work: Work) -> None:
    result = measured(asked(torch_compile=True), work, save(AFFINE, work))
    names = ["pytorch eager", "torch.compile", "trace"]
    assert [latency.runner for latency in result.latencies] == names
    startup = next(start for start in result.startups if start.runner == "torch.compile")
    assert startup.first_run_ms > 10 * result.startups[0].first_run_ms  # it compiles
    assert [speedup.runner for speedup in result.speedups] == ["pytorch eager"]


def test_torch_compile_that_fails_takes_no_part_and_says_why(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(*_: object, **__: object) -> object:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr("torch.compile", lambda _: no_compiler)
    result = measured(asked(torch_compile=True), work, save(AFFINE, work))
    assert [latency.runner for latency in result.latencies] == ["pytorch eager", "trace"]
    (skipped,) = result.skipped
    assert (skipped.name, skipped.outcome) == ("torch.compile", "skipped")
    assert skipped.reason == "InvalidCxxCompiler: No working C++ compiler found"


def test_the_process_stays_on_the_processors_of_the_spec(work: Work) -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    try:
        result = measured(asked(cpus=[one]), work, save(AFFINE, work))
    finally:
        os.sched_setaffinity(0, before)
    assert result.environment is not None
    assert (result.environment.cpus, result.environment.cores) == ((one,), 1)


def test_a_processor_that_is_not_there_is_an_error(work: Work) -> None:
    message = r"asked for benchmark.cpus \[4000\], this process may not use \[4000\]; it may use "
    with pytest.raises(BenchmarkError, match=message):
        measured(asked(cpus=[4000]), work, save(AFFINE, work))
