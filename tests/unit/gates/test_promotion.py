from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.gates.promotion import GATES, Measured, gate_verdicts, undecided
from onnxproof.records import (
    GateVerdict,
    Metric,
    Placement,
    Proof,
    ProviderCheck,
    QualityWarning,
    Ratio,
    Startup,
    Verdict,
)
from onnxproof.spec import Gates

CPU = "CPUExecutionProvider"
NOTHING = Measured()
NO_LATENCY: dict[str, Any] = {"max_latency_regression": None}


def ratio(low: float, middle: float, high: float) -> Ratio:
    return Ratio(runner="version 2", over="version 1", ratio=middle, low=low, high=high, rounds=100)


def verdict(
    proof: Proof, name: str, measured: Measured = NOTHING, champion: Any = None, **gates: Any
) -> GateVerdict:
    found = gate_verdicts(Gates(**gates), proof, champion, measured)
    return next(gate for gate in found if gate.name == name)


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        ((0.9, 1.0, 1.05), "passed"),
        ((0.9, 1.0, 1.051), "inconclusive"),
        ((1.05, 1.1, 1.2), "inconclusive"),
        ((1.051, 1.1, 1.2), "failed"),
    ],
)
def test_a_regression_is_decided_by_the_interval(
    proof: Proof, interval: tuple[float, float, float], outcome: str
) -> None:
    measured = Measured(ratios=(ratio(*interval),))
    found = verdict(proof, "max_latency_regression", measured, proof)
    assert (found.outcome, found.value, found.threshold) == (outcome, interval[1], 1.05)
    assert undecided(Gates(), measured.ratios, {}) == (outcome == "inconclusive")


def test_the_worst_provider_decides(proof: Proof) -> None:
    measured = Measured(ratios=(ratio(0.5, 0.5, 0.6), ratio(1.2, 1.3, 1.4), ratio(0.9, 1.0, 1.1)))
    found = verdict(proof, "max_latency_regression", measured, proof)
    assert found.reason == (
        "1.300 times the latency of version 1 (99 % interval 1.200 to 1.400), and 1.05 is allowed"
    )


def test_without_a_champion_what_is_about_it_does_not_apply(proof: Proof) -> None:
    measured = Measured(why_not="there is no other champion")
    for name in ("max_latency_regression", "max_size_growth"):
        found = verdict(proof, name, measured)
        assert (found.outcome, found.reason) == ("not_applicable", "there is no other champion")


def test_a_champion_that_cannot_be_run_is_no_reason_to_pass(proof: Proof) -> None:
    measured = Measured(why_not="it is broken", broken=True)
    assert verdict(proof, "max_latency_regression", measured).outcome == "inconclusive"


@pytest.mark.parametrize(("least", "outcome"), [(1e-3, "passed"), (1e6, "failed")])
def test_a_speedup_over_pytorch_is_that_of_the_proof(
    proof: Proof, least: float, outcome: str
) -> None:
    found = verdict(proof, "min_speedup_vs_pytorch", min_speedup_vs_pytorch=least)
    assert found.outcome == outcome
    assert found.value == proof.benchmark.speedup(proof.chosen.label)


@pytest.mark.parametrize(
    ("count", "most_ms", "outcome"),
    [(20, 9.0, "inconclusive"), (2000, 1.2, "passed"), (2000, 0.9, "failed")],
)
def test_a_percentile_is_decided_only_where_there_are_samples_enough(
    proof: Proof, count: int, most_ms: float, outcome: str
) -> None:
    samples = np.random.default_rng(0).uniform(0.5, 1.1, count).tolist()
    measured = Measured(samples_ms={"batch=1": samples})
    gates = {"max_p99_ms": most_ms, **NO_LATENCY}
    assert verdict(proof, "max_p99_ms", measured, **gates).outcome == outcome
    assert undecided(Gates(**gates), (), measured.samples_ms) == (outcome == "inconclusive")


@pytest.mark.parametrize(("most", "outcome"), [(1000, "failed"), (3000, "passed")])
def test_memory_is_held_to_its_gate(proof: Proof, most: int, outcome: str) -> None:
    startup = Startup(runner=proof.chosen.label, where=CPU, first_run_ms=1, peak_bytes=2000)
    timed = proof.benchmark.model_copy(update={"startups": (startup,)})
    measured = proof.model_copy(update={"benchmark": timed})
    found = verdict(measured, "max_memory_bytes", max_memory_bytes=most)
    assert found.outcome == outcome
    assert found.reason.startswith("opening and running it takes 2 kB, and ")


def test_a_version_larger_than_the_champion_is_held_to_its_gate(proof: Proof) -> None:
    model = proof.chosen.model.model_copy(update={"size_bytes": proof.chosen.size_bytes // 2})
    small = proof.model_copy(update={"chosen": proof.chosen.model_copy(update={"model": model})})
    assert verdict(proof, "max_size_growth", champion=small).outcome == "failed"
    assert verdict(small, "max_size_growth", champion=proof).outcome == "passed"


def scored(proof: Proof, onnx: float, rows: int = 100) -> Proof:
    metric = Metric(name="top1", rows=rows, pytorch=0.9, onnx=onnx)
    return proof.model_copy(update={"check": proof.check.model_copy(update={"metric": metric})})


def test_a_metric_is_compared_with_the_champions_on_the_same_rows(proof: Proof) -> None:
    better, worse = scored(proof, 0.9), scored(proof, 0.8)
    assert verdict(worse, "max_metric_drop", champion=better).outcome == "failed"
    allowed = verdict(worse, "max_metric_drop", champion=better, max_metric_drop=0.2)
    assert allowed.outcome == "passed"
    assert verdict(better, "max_metric_drop", champion=worse).outcome == "passed"
    others = scored(proof, 0.9, rows=7)
    assert verdict(worse, "max_metric_drop", champion=others).outcome == "not_applicable"


def test_nodes_that_a_provider_leaves_to_the_cpu_are_held_to_their_gate(proof: Proof) -> None:
    placement = Placement(provider="XExecutionProvider", nodes={"X": 3, "C": 1}, on_cpu=("Shape",))
    passed = Verdict(name="parity on X", outcome="passed", reason="close")
    there = ProviderCheck(provider="X", precision="float32", verdict=passed, placement=placement)
    check = proof.check.model_copy(update={"providers": (there,)})
    placed = proof.model_copy(update={"check": check})
    assert verdict(placed, "max_cpu_placement", max_cpu_placement=0.25).outcome == "passed"
    assert verdict(placed, "max_cpu_placement", max_cpu_placement=0.2).outcome == "failed"
    assert verdict(proof, "max_cpu_placement", max_cpu_placement=0).outcome == "not_applicable"
    cpu = check.model_copy(update={"providers": (there.model_copy(update={"provider": CPU}),)})
    alone = proof.model_copy(update={"check": cpu})
    assert verdict(alone, "max_cpu_placement", max_cpu_placement=0).outcome == "not_applicable"


def test_each_threshold_of_the_spec_has_a_gate() -> None:
    thresholds = {field for field in Gates.model_fields if field.startswith(("max_", "min_"))}
    assert {gate.name for gate in GATES} == thresholds


def test_gates_that_the_spec_does_not_set_are_not_asked(proof: Proof) -> None:
    assert {gate.name for gate in gate_verdicts(Gates(**NO_LATENCY), proof, None, Measured())} <= {
        "max_size_growth", "max_metric_drop",
    }  # fmt: skip


def test_a_suspect_measurement_decides_nothing(proof: Proof) -> None:
    suspect = QualityWarning(
        rule="two speeds", runner="version 2", where="X at batch=1", reason="so"
    )
    measured = Measured(ratios=(ratio(0.8, 0.9, 0.95),), quality_warnings=(suspect, suspect))
    found = verdict(proof, "measurement", measured, proof)
    assert (found.outcome, found.reason) == (
        "inconclusive", "two speeds, version 2 on X at batch=1: so, and 1 more",
    )  # fmt: skip
