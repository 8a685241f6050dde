from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from onnxproof.benchmark.samples_file import write_samples
from onnxproof.records import (
    BenchmarkResult,
    ModuleTime,
    OperatorTime,
    Profile,
    Ratio,
    Startup,
    Throughput,
    Work,
)
from onnxproof.report.latency import MOST_ROWS, bench_sections, latencies
from onnxproof.report.latency_plot import curves, for_terminal, in_markdown, save_png
from tests.helpers.graphs import latency_of
from tests.helpers.specs import work_in

CPU = "CPUExecutionProvider"


def ratio(low: float, middle: float, high: float) -> Ratio:
    return Ratio(
        runner="new", over="old", ratio=middle, low=low, high=high, rounds=9, repetitions=20
    )


def result_of(**fields: Any) -> BenchmarkResult:
    rows = (latency_of("new", 2.0), latency_of("old", 1.0))
    return BenchmarkResult(latencies=rows, seconds=1, **fields)


@pytest.mark.parametrize(
    ("ends", "called"),
    [
        ((1.01, 1.02, 1.03), "slower"),
        ((0.97, 0.98, 0.99), "faster"),
        ((0.99, 1.0, 1.01), "not told apart"),
    ],
)
def test_a_comparison_is_reported_with_its_interval_and_what_it_means(
    ends: tuple[float, float, float], called: str
) -> None:
    (heading, text), *_ = bench_sections(result_of(ratios=(ratio(*ends),)))
    assert heading == "Latency"
    assert text.startswith(
        f"- new takes {ends[1]:.3f} times as long as old (99 % interval {ends[0]:.3f} to "
        f"{ends[2]:.3f}, 20 repetitions): {called}\n\n| shape |"
    )


def test_a_column_about_pytorch_needs_pytorch() -> None:
    assert "against PyTorch" not in latencies(result_of())
    both = BenchmarkResult(
        latencies=(latency_of("pytorch eager", 2.0), latency_of("new", 1.0)), seconds=1
    )
    assert "against PyTorch" in latencies(both)
    assert "2.00x" in latencies(both)


def test_starts_and_throughput_have_tables_where_there_are_some() -> None:
    startup = Startup(runner="new", where=CPU, open_ms=12.3, first_run_ms=4.5, peak_bytes=7_000_000)
    load = Throughput(
        runner="new",
        where=CPU,
        dims={"batch": 8},
        callers=2,
        calls=900,
        calls_per_second=1234.5,
        items_per_second=9876.4,
        p50_ms=1.5,
    )
    found = dict(bench_sections(result_of(startups=(startup,), throughput=(load,))))
    assert f"| new | {CPU} | 12.3 ms | 4.5 ms |  | 7 MB |  |  |" in found["Start and memory"]
    assert f"| batch=8 | 2 | new | {CPU} | 1,234 | 9,876 | 1.5 |  |" in found["Throughput"]
    assert list(dict(bench_sections(result_of()))) == ["Latency"]


def test_the_longest_operators_have_rows_and_all_others_share_one() -> None:
    count = MOST_ROWS + 3
    operators = tuple(
        OperatorTime(operator=f"Op{n}", provider=CPU, calls=1, milliseconds=1.0, share=1 / count)
        for n in range(count)
    )
    modules = (ModuleTime(module="", milliseconds=2.0, share=1.0),)
    stats = Profile(
        runner="new",
        provider=CPU,
        runs=20,
        kernels_ms=15.0,
        operators=operators,
        modules=modules,
        fused={"FusedGemm": 4},
        flops=3_000_000_000,
    )
    found = dict(bench_sections(result_of(profiles=(stats,))))
    text = found[f"Where the time of new goes on {CPU}"]
    assert "| 3 more |  |  | 3 | 20.0 % |" in text
    assert "| (the model) | 2 | 100.0 % |" in text
    assert text.rstrip().endswith(
        "Kernels of a run take 15 ms (median of 20 runs), 3 GFLOP. "
        "ONNX Runtime put in: 4 FusedGemm."
    )


@pytest.fixture
def timed(tmp_path: Path) -> tuple[BenchmarkResult, Work]:
    work = work_in(tmp_path)
    parts = [
        (latency_of(name, base), part, [[base + number / 100 for number in range(50)]] * 2)
        for name, base in (("new", 2.0), ("old", 1.0))
        for part in ("loop", "rounds")
    ]
    samples = write_samples(work, parts)
    return result_of(samples=samples, ratios=(ratio(1.9, 2.0, 2.1),)), work


def test_curves_are_the_loops_that_were_written(timed: tuple[BenchmarkResult, Work]) -> None:
    result, work = timed
    ((title, panel),) = curves(result, Path(work.folder)).items()
    assert title == f"{CPU}, batch=3"
    assert {name: len(curve) for name, curve in panel.items()} == {"new": 100, "old": 100}
    assert min(panel["old"]) == 1.0


def test_a_plot_for_a_log_names_everything_and_has_no_colors(
    timed: tuple[BenchmarkResult, Work],
) -> None:
    result, work = timed
    (plot,) = for_terminal(curves(result, Path(work.folder)), 80, colored=False)
    assert plot.isascii()  # a page takes other letters from a font of another width
    assert "\x1b" not in plot
    assert "new" in plot
    assert "old" in plot
    assert max(map(len, plot.splitlines())) <= 80
    (bright,) = for_terminal(curves(result, Path(work.folder)), 80, colored=True)
    assert "\x1b" in bright


def test_a_report_has_each_plot_as_text_where_the_samples_are(
    timed: tuple[BenchmarkResult, Work], tmp_path: Path
) -> None:
    result, work = timed
    (block,) = in_markdown(result, Path(work.folder))
    assert block.startswith("```text\n")
    assert block.endswith("\n```")
    assert "new" in block
    assert list(in_markdown(result, tmp_path / "elsewhere")) == []
    assert list(in_markdown(result, None)) == []


def test_a_png_is_a_picture(timed: tuple[BenchmarkResult, Work], tmp_path: Path) -> None:
    result, work = timed
    save_png(result, curves(result, Path(work.folder)), tmp_path / "plot.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "plot.png").shape
    assert (height, width) > (300, 600)
