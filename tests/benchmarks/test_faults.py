"""A third of the faults of benchmarks/faultlist, each put into a real export and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fault_page import render
from benchmarks.fault_rows import Row
from benchmarks.faultlist import CONTROLS, FAULTS, Fault
from benchmarks.faultlist.judge import Bench
from benchmarks.json_lines import last_rows
from onnxproof.isolation.child import prepare_children

DOCS = Path(__file__).parents[2] / "docs"
QUICK = [fault for fault in FAULTS if fault.quick]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Exports are made once; stages run in this process where nothing can take it down."""
    prepare_children()
    return Bench(tmp_path_factory.mktemp("faults"), children=False)


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_a_fault_is_caught_by_its_own_verdict(bench: Bench, fault: Fault) -> None:
    found = bench.judge(fault)
    assert found.verdict == fault.caught_by, found.reason


@pytest.mark.parametrize(
    "control",
    [control for control in CONTROLS if control.strategy != "dynamo"],
    ids=lambda control: control.name,
)
def test_an_export_without_a_fault_is_proven(bench: Bench, control: Fault) -> None:
    assert not bench.judge(control).caught


def test_a_fault_below_every_budget_is_caught_by_bytes_alone(bench: Bench) -> None:
    row = next(fault for fault in FAULTS if fault.name == "row of an embedding")
    assert (found := bench.judge(row)).verdict == "weights"
    assert not found.without_weights


def test_a_third_of_the_faults_is_tested_and_their_names_differ() -> None:
    assert 3 * len(QUICK) >= len(FAULTS) >= 40
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_the_page_is_made_of_its_rows_and_every_fault_has_one() -> None:
    rows = last_rows(DOCS / "faults.jsonl", Row, "fault")
    assert {fault.name for fault in (*FAULTS, *CONTROLS)} <= set(rows)
    assert (DOCS / "faults.md").read_text(encoding="utf-8") == render(rows)
