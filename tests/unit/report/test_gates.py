from __future__ import annotations

from pathlib import Path

from onnxproof.pipeline import outcome
from onnxproof.records import Comparison, GateVerdict, Proof
from onnxproof.report import proof
from tests.helpers.graphs import REGISTRATION

SLOW = GateVerdict(
    name="max_latency_regression", outcome="failed", value=1.2, threshold=1.05, reason="too slow"
)
ABSENT = GateVerdict(name="max_size_growth", outcome="not_applicable", reason="no champion")


def test_every_gate_is_reported_with_its_number_and_its_reason() -> None:
    large = SLOW.model_copy(update={"name": "max_memory_bytes", "value": 3e8, "threshold": 2e8})
    lines = proof.render_gates(REGISTRATION, (SLOW, ABSENT, large)).splitlines()
    assert lines[0] == "# toy version 3: aliases `challenger`, `champion`"
    assert "| max_latency_regression | failed | 1.2 | 1.05 |" in lines
    assert "| max_memory_bytes | failed | 300 MB | 200 MB |" in lines
    assert "- **max_latency_regression** failed: too slow" in lines
    assert "- **max_size_growth** not_applicable: no champion" in lines


def test_a_summary_tells_gates_that_were_decided(toy_proof: tuple[Proof, Path]) -> None:
    comparison = Comparison(
        challenger="3", gates=(SLOW.model_copy(update={"outcome": "passed"}), ABSENT)
    )
    ended = outcome.compared(outcome.proven(toy_proof[0], REGISTRATION, toy_proof[1]), comparison)
    assert (ended.status, ended.exit_code) == ("proven", 0)
    message = [text for label, text in proof.summarize(ended) if label == "gate"]
    assert message == ["max_latency_regression passed: too slow"]


def test_a_version_that_a_gate_refuses_is_reported_as_refused(
    toy_proof: tuple[Proof, Path],
) -> None:
    ended = outcome.proven(toy_proof[0], REGISTRATION, toy_proof[1])
    refused = outcome.compared(ended, Comparison(challenger="3", gates=(SLOW,)))
    assert (refused.status, refused.exit_code, refused.stage) == ("refused", 4, "promote")
    assert refused.model_uri == ended.model_uri
    assert refused.reason == (
        "toy version 3 is proven and registered, and stays challenger; "
        "max_latency_regression failed: too slow"
    )
    undecided = SLOW.model_copy(update={"outcome": "inconclusive"})
    for choice, code in (("refuse", 4), ("pass", 0)):
        comparison = Comparison.model_validate(
            {"challenger": "3", "gates": [undecided.model_dump()], "inconclusive": choice}
        )
        assert outcome.compared(ended, comparison).exit_code == code
