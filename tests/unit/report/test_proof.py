from __future__ import annotations

from typing import Any

import pytest

from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    ExportOutcome,
    GridPoint,
    Metric,
    Proof,
    Reference,
    SearchResult,
    Verdict,
    Versions,
)
from onnxproof.report import proof as report
from onnxproof.report.latency import latency_rows
from tests.helpers import graphs
from tests.helpers.specs import spec_of

CHOSEN = graphs.candidate_of("trace", "onnxsim", size_bytes=1_234_567, nodes=12)
CHECK = graphs.verdicts_on(CHOSEN).model_copy(
    update={
        "parity": (
            graphs.parity_of(
                "scores",
                max_abs_diff=1.5e-6,
                worst_diff=1.5e-6,
                elements=120,
                cosine=0.999999,
                sqnr_db=120,
                rows=30,
                same_top1=29,
                budget_used=0.07,
                basis="noise",
            ),
            graphs.parity_of("ids", dtype="int64", max_abs_diff=0, atol=0, rtol=0, basis="exact"),
        ),
        "metric": Metric(name="top1", rows=359, pytorch=0.9861, onnx=0.9833),
    }
)
BENCHMARK = BenchmarkResult(
    latencies=(
        graphs.latency_of("pytorch eager", 1.0),
        graphs.latency_of("trace+onnxsim", 0.25, threads=2),
        graphs.latency_of("pytorch eager", 8.0, dims={"batch": 8}),
        graphs.latency_of("trace+onnxsim", 10.0, dims={"batch": 8}, p90_ms=None, samples=4),
    ),
    skipped=(
        Verdict(name="CUDAExecutionProvider", outcome="skipped", reason="this build has none"),
    ),
    seconds=2,
)
REFERENCE = Reference(
    folder=".",
    seed=0,
    inputs=(),
    outputs=(),
    points=(
        GridPoint(dims={"batch": 1}, outcome="passed", sets=("test_data_set_0", "test_data_set_1")),
        GridPoint(dims={"batch": 3}, outcome="passed", sets=("test_data_set_2",), reason="slow"),
        GridPoint(dims={"batch": 8}, outcome="not_reached", reason="check.seconds was used up"),
    ),
    size_bytes=0,
    digest=graphs.DIGEST,
)
ATTEMPTS = (
    Attempt(label="dynamo", outcome="failed", reason="a | b\nand <built-in method> or 3 < 4"),
    Attempt(
        label="trace", outcome="passed", reason="proven", candidate=graphs.candidate_of("trace")
    ),
    Attempt(
        label="trace+onnxsim",
        outcome="passed",
        reason="proven",
        candidate=CHOSEN,
        check=CHECK,
        chosen=True,
    ),
    Attempt(label="script", outcome="not_reached", reason="trace+onnxsim was proven first"),
)
PROOF = Proof(
    name="toy",
    proof_key="ab" * 32,
    created_at="2026-11-22T12:00:00+00:00",
    versions=Versions(
        onnxproof="0.1.0", flow="0.1.0+g1a2b3c4", python="3.11.7", toolchain={"torch": "2.13.0"}
    ),
    spec=spec_of(),
    loaded=graphs.loaded_with(REFERENCE),
    attempts=ATTEMPTS,
    chosen=CHOSEN,
    check=CHECK,
    benchmark=BENCHMARK,
)
PAGE = "[MLflow run](http://localhost:5000/#/runs/r-1)"
WHERE = f"`models:/toy/3` · aliases `challenger`, `champion` · {PAGE}"
NEAR = "2 shapes and 3 samples against PyTorch, the worst difference is 1.5e-06, in 'scores'"
ALLOWED = "allowed 0.0001 + 0.0001 * |value|"
WITHIN = "| 0 of 120 | 0.0001 | 0.0001 | 0.07 | from PyTorch's own noise against float64 |"
CPU = "CPUExecutionProvider"


def lines_of(text: str) -> list[str]:
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    return text.splitlines()


def test_a_report_is_the_same_for_the_same_proof() -> None:
    before = PROOF.model_copy(deep=True)
    assert report.render_proof(PROOF, graphs.REGISTRATION) == report.render_proof(
        before, graphs.REGISTRATION
    )
    assert before == PROOF


@pytest.mark.parametrize(
    "line",
    [
        "# toy version 3: proven",
        f"{NEAR}, {ALLOWED}.",
        WHERE,
        "| bytes | passed | the file is the same |",
        "| parity | passed | close |",
        f"| scores | 1.5e-06 {WITHIN}",
        "| scores | float32 | 1e-07 |  | 0.999999000 | 120 | 29 of 30 |",
        "| ids | 0 | 0 of 120 | 0 | 0 |  | must be equal |",
        "| top1 | 0.9861 | 0.9833 | 359 |",
        "| batch | 1..8 | 1, 3 |",
        "- batch=3: slow",
        "- batch=8: check.seconds was used up",
        "| batch=3 | pytorch eager |  | 1.0 | 1.5 | 0.5 | 20 | 1 | PyTorch |",
        f"| batch=3 | trace+onnxsim | 4.00x | 0.25 | 0.375 | 0.125 | 20 | 2 | {CPU} |",
        f"| batch=8 | trace+onnxsim | 0.80x | 10.0 |  | 5.0 | 4 | 1 | {CPU} |",
        "- CUDAExecutionProvider skipped: this build has none",
        "| dynamo | failed | a \\| b and \\<built-in method> or 3 < 4 |  |  |  |",
        "| trace | passed | proven | 20 | 10 | 100 kB |",
        "| **trace+onnxsim** | passed | proven | 20 | 12 | 1.23 MB |",
        "| script | not_reached | trace+onnxsim was proven first |  |  |  |",
        "| flow | 0.1.0+g1a2b3c4 |",
        "| torch | 2.13.0 |",
        f"| model | `{graphs.DIGEST}` |",
        f"| proof key | `{'ab' * 32}` |",
    ],
)
def test_a_report_holds_the_verdicts_and_the_numbers(line: str) -> None:
    assert line in lines_of(report.render_proof(PROOF, graphs.REGISTRATION))


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    width = 0
    for line in lines_of(report.render_proof(PROOF, graphs.REGISTRATION)):
        cells = line.replace("\\|", "").count("|")
        if not line.startswith("|"):
            width = 0
        assert cells == width or not width
        width = cells if line.startswith("|") else 0


def test_a_report_of_no_version_names_none() -> None:
    text = report.render_proof(PROOF)
    assert text.startswith("# toy: proven\n")
    assert "models:/" not in text


def test_a_report_has_no_section_about_what_was_not_asked() -> None:
    check = CHECK.model_copy(update={"metric": None})
    covered = REFERENCE.model_copy(update={"points": REFERENCE.points[:1]})
    proof = PROOF.model_copy(
        update={
            "check": check,
            "spec": spec_of(inputs={"x": "float32[2, 4]"}, dims={}),
            "loaded": graphs.loaded_with(covered),
        }
    )
    text = report.render_proof(proof)
    assert "## Dataset" not in text
    assert "Not fully covered" not in text
    assert "Every size is fixed." in text


def test_a_refusal_tells_every_attempt_and_the_verdicts_on_each_graph() -> None:
    wrong = graphs.candidate_of("trace")
    search = SearchResult(
        attempts=(
            ATTEMPTS[0],
            Attempt(
                label="trace",
                outcome="failed",
                reason="parity: off by 3",
                candidate=wrong,
                check=graphs.verdicts_on(wrong, "off by 3"),
            ),
        )
    )
    lines = lines_of(report.render_refusal("toy", PROOF.loaded, search))
    assert lines[0] == "# toy: refused, nothing is registered"
    assert "No candidate was proven. PyTorch itself ran at 2 shapes." in lines
    assert "| trace | failed | parity: off by 3 | 20 | 10 | 100 kB |" in lines
    assert [line for line in lines if "Verdicts" in line] == ["## Verdicts on trace"]
    assert "| parity | failed | off by 3 |" in lines
    assert any("| 2e-07 | 7 of 120 | 0.0001 | 0.0001 |" in row for row in lines)


def test_an_infinite_difference_is_reported() -> None:
    wrong = graphs.candidate_of("trace")
    check = graphs.verdicts_on(wrong, "nan").model_copy(
        update={"parity": (graphs.parity_of(max_abs_diff=float("inf"), mismatched=1),)}
    )
    attempt = Attempt(label="trace", outcome="failed", reason="nan", candidate=wrong, check=check)
    text = report.render_refusal("toy", PROOF.loaded, SearchResult(attempts=(attempt,)))
    assert "| y | inf | 1 of 120 | 0.0001 | 0.0001 |" in text


def test_an_unchanged_run_is_reported_with_its_version() -> None:
    assert lines_of(report.render_unchanged(graphs.REGISTRATION)) == [
        "# toy: unchanged",
        "",
        "Version 3 was proven from the same weights, code, spec and toolchain.",
        "",
        WHERE,
    ]


def test_a_version_without_alias_and_page_says_so() -> None:
    bare = graphs.REGISTRATION.model_copy(update={"aliases": (), "run_url": ""})
    assert lines_of(report.render_unchanged(bare))[-1] == "`models:/toy/3` · aliases none"


def test_a_row_of_latencies_is_plain_numbers() -> None:
    first, second, *_ = latency_rows(BENCHMARK)
    assert first["against PyTorch"] == ""
    assert second == {
        "shape": "batch=3",
        "runner": "trace+onnxsim",
        "provider": CPU,
        "threads": 2,
        "p50 ms": 0.25,
        "p90 ms": 0.375,
        "min ms": 0.125,
        "samples": 20,
        "against PyTorch": "4.00x",
    }


def outcome_of(**fields: Any) -> ExportOutcome:
    return ExportOutcome.model_validate({"status": "proven", "exit_code": 0, **fields})


def test_a_proven_run_is_summed_up_in_labeled_lines() -> None:
    outcome = outcome_of(
        proof=PROOF,
        registration=graphs.REGISTRATION,
        model_uri="models:/toy/3",
        proof_path="folder/proof.json",
        run_url="http://localhost:5000/#/runs/r-1",
    )
    assert report.summarize(outcome) == [
        ("registered", "models:/toy/3 (challenger, champion)"),
        ("ranges", "batch 1..8"),
        ("compared", f"{NEAR}, {ALLOWED}"),
        ("top1", "0.9861 PyTorch, 0.9833 ONNX, on 359 rows"),
        ("speed", f"4.00x PyTorch eager at batch=3 (0.25 ms against 1 ms, {CPU}, 2 threads)"),
        ("speed", f"0.80x PyTorch eager at batch=8 (10 ms against 8 ms, {CPU}, 1 thread)"),
        ("graph", "trace+onnxsim, opset 20, 12 nodes, 1.23 MB"),
        ("report", "folder/report.md"),
        ("browse", "http://localhost:5000/#/runs/r-1"),
        ("replay", "onnxproof verify models:/toy/3"),
    ]


def test_a_run_without_a_server_says_how_to_get_one() -> None:
    registration = graphs.REGISTRATION.model_copy(update={"aliases": ()})
    lines = dict(report.summarize(outcome_of(registration=registration)))
    assert lines["registered"] == "models:/toy/3 (no alias)"
    assert lines["browse"] == "`make up` starts the MLflow and Prefect pages"


@pytest.mark.parametrize(
    ("p50_ms", "text"),
    [
        (0.0123456, "81.00x PyTorch eager at batch=3 (0.0123 ms against 1 ms"),
        (0.001, "1000.00x PyTorch eager at batch=3 (0.001 ms against 1 ms"),
        (12_345.6, "0.00x PyTorch eager at batch=3 (12346 ms against 1 ms"),
    ],
)
def test_a_speed_is_reported_without_exponents(p50_ms: float, text: str) -> None:
    rows = (BENCHMARK.latencies[0], graphs.latency_of("trace+onnxsim", p50_ms))
    proof = PROOF.model_copy(update={"benchmark": BENCHMARK.model_copy(update={"latencies": rows})})
    assert dict(report.summarize(outcome_of(proof=proof)))["speed"].startswith(text)


@pytest.mark.parametrize("status", ["refused", "failed"])
def test_a_run_that_did_not_end_well_has_no_next_steps(status: str) -> None:
    assert report.summarize(outcome_of(status=status, exit_code=4)) == []
