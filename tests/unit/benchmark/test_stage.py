from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from onnxproof.benchmark.runners import Runner
from onnxproof.benchmark.stage import measure_in_child
from onnxproof.benchmark.summary import summarize
from onnxproof.errors import BenchmarkError
from onnxproof.records import BenchmarkResult, Candidate, Work
from onnxproof.samples.generate import Feed
from onnxproof.spec import Spec
from tests.helpers.graphs import AFFINE, latency_of, save
from tests.helpers.specs import spec_of, work_in

CPU = {"name": "CPUExecutionProvider"}
ABSENT = {"name": "NoSuchExecutionProvider"}


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("onnxproof.benchmark.warmup.WINDOW_SECONDS", 0)
    threads = torch.get_num_threads()
    yield
    assert torch.get_num_threads() == threads


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path)


def asked(**section: Any) -> Spec:
    return spec_of(benchmark={"samples": 12, **section})


def measured(spec: Spec, work: Work, *candidates: Candidate) -> BenchmarkResult:
    return measure_in_child(spec, work, candidates)


def test_every_runner_is_timed_at_every_point_with_as_many_samples(work: Work) -> None:
    plain, simplified = save(AFFINE, work), save(AFFINE, work, "trace", "onnxsim")
    result = measured(asked(at=[{"batch": 1}, {}]), work, plain, simplified)
    assert [(latency.runner, latency.provider, latency.dims) for latency in result.latencies] == [
        (runner, provider, {"batch": size})
        for size in (1, 3)
        for runner, provider in (
            ("pytorch eager", ""),
            ("trace", "CPUExecutionProvider"),
            ("trace+onnxsim", "CPUExecutionProvider"),
        )
    ]
    assert {(latency.samples, latency.threads) for latency in result.latencies} == {(6, 1)}
    assert result.skipped == ()


def test_a_latency_is_positive_and_its_numbers_are_in_order(work: Work) -> None:
    for latency in measured(asked(), work, save(AFFINE, work)).latencies:
        assert 0 < latency.min_ms <= latency.p50_ms
        assert latency.min_ms <= latency.mean_ms


def test_a_required_provider_that_is_not_here_is_an_error(work: Work) -> None:
    with pytest.raises(BenchmarkError, match="asked for NoSuchExecutionProvider, this ONNX"):
        measured(asked(providers=[CPU, ABSENT]), work, save(AFFINE, work))


def test_a_provider_that_is_not_required_is_skipped_with_the_reason(work: Work) -> None:
    spec = asked(providers=[{**ABSENT, "required": False}, CPU])
    result = measured(spec, work, save(AFFINE, work))
    (skipped,) = result.skipped
    assert (skipped.name, skipped.outcome) == ("NoSuchExecutionProvider", "skipped")
    assert skipped.reason.startswith("asked for NoSuchExecutionProvider, this ONNX Runtime")
    assert [latency.provider for latency in result.latencies] == ["", "CPUExecutionProvider"]


@pytest.mark.parametrize("required", [True, False])
def test_a_provider_that_opens_one_candidate_alone_times_none(
    work: Work, *, required: bool
) -> None:
    good, bad = save(AFFINE, work), save(AFFINE, work, "script")
    Path(work.path(bad.model.path)).write_bytes(b"not a graph")
    spec = asked(providers=[{**CPU, "required": required}])
    if required:
        with pytest.raises(Exception, match="INVALID_PROTOBUF"):
            measured(spec, work, good, bad)
        return
    result = measured(spec, work, good, bad)
    assert [latency.runner for latency in result.latencies] == ["pytorch eager"]
    assert "INVALID_PROTOBUF" in result.skipped[0].reason


def test_candidates_are_compared_with_each_other_and_not_with_pytorch(work: Work) -> None:
    plain, simplified = save(AFFINE, work), save(AFFINE, work, "trace", "onnxsim")
    (ratio,) = measured(asked(at=[{"batch": 1}, {}]), work, plain, simplified).ratios
    assert {ratio.runner, ratio.over} == {"trace", "trace+onnxsim"}
    assert ratio.low <= ratio.ratio <= ratio.high
    assert (ratio.rounds, ratio.repetitions) == (2 * 12, 6)


def never(feed: Feed) -> Callable[[], object]:
    raise AssertionError(f"called with {list(feed)}")


@pytest.mark.parametrize(
    ("count", "percentiles"),
    [(1, []), (49, []), (50, ["p90"]), (499, ["p90"]), (500, ["p90", "p99"])],
)
def test_a_percentile_needs_five_samples_beyond_it(count: int, percentiles: list[str]) -> None:
    samples = [float(number) for number in range(count, 0, -1)]
    row = summarize(Runner("trace", "CPUExecutionProvider", never), {"batch": 3}, 2, samples)
    assert (row.runner, row.provider, row.dims) == (
        "trace",
        "CPUExecutionProvider",
        {"batch": 3},
    )
    assert (row.samples, row.threads, row.min_ms) == (count, 2, 1)
    assert row.p50_ms == row.mean_ms == statistics.median(samples)
    given = {"p90": row.p90_ms, "p99": row.p99_ms}
    assert [name for name, value in given.items() if value is not None] == percentiles


def test_p90_is_the_ninth_decile() -> None:
    samples = [float(number) for number in range(1, 100)]
    row = summarize(Runner("trace", "", never), {}, 1, samples)
    assert row.p90_ms == 90


def test_every_sample_is_kept_beside_its_summary(work: Work) -> None:
    from pyarrow import parquet

    result = measured(asked(), work, save(AFFINE, work))
    assert result.samples is not None
    assert result.samples.unchanged(work.folder)
    rows = parquet.read_table(work.path(result.samples.path)).to_pylist()
    assert {row["repetition"] for row in rows} == set(range(6))
    loops = [row for row in rows if row["part"] == "loop"]
    assert len(rows) == len(loops) + len(result.latencies) * 12
    assert len(loops) == sum(latency.samples for latency in result.latencies)
    for latency in result.latencies:
        mine = [row["milliseconds"] for row in loops if row["runner"] == latency.runner]
        assert statistics.median(mine) == latency.p50_ms
        assert {row["dims"] for row in rows} == {"batch=3"}


def test_the_speedup_over_pytorch_has_an_interval(work: Work) -> None:
    result = measured(asked(), work, save(AFFINE, work))
    (found,) = result.speedups
    assert (found.runner, found.over) == ("pytorch eager", "trace")
    assert (found.where, found.rounds) == ("CPUExecutionProvider", 12)
    assert found.low <= found.ratio <= found.high


def test_the_machine_is_reported_with_its_numbers(work: Work) -> None:
    environment = measured(asked(threads=2), work, save(AFFINE, work)).environment
    assert environment is not None
    assert environment.cores >= 1
    assert environment.cpu_model
    assert environment.onnxruntime_threads == environment.pytorch_threads == 2
    assert set(environment.libraries) == {"torch", "onnxruntime"}


def test_pytorch_is_as_it_was_when_the_benchmark_fails(work: Work) -> None:
    with pytest.raises(BenchmarkError):
        measured(asked(threads=3, providers=[ABSENT]), work, save(AFFINE, work))
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("rows", "speedup"),
    [
        ([("trace", 0.5, 1)], 2.0),
        ([("trace", 2.0, 1)], 0.5),
        ([("trace", 0.25, 1), ("trace", 4.0, 8)], pytest.approx(2**0.5)),
        ([("trace", 0.5, 2)], None),
        ([("script", 0.5, 1)], None),
        ([], None),
    ],
    ids=["faster", "slower", "geometric mean", "another point", "another label", "nothing"],
)
def test_a_speedup_is_pytorchs_median_over_the_candidates(
    rows: list[tuple[str, float, int]], speedup: Any
) -> None:
    base = [
        latency_of("pytorch eager", p50_ms, dims={"batch": size})
        for p50_ms, size in ((1, 1), (2, 8))
    ]
    timed = [latency_of(name, p50_ms, dims={"batch": size}) for name, p50_ms, size in rows]
    assert BenchmarkResult(latencies=(*base, *timed), seconds=1).speedup("trace") == speedup
