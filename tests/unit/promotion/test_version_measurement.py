"""A version that is wrong, slow or left to the CPU on another machine's providers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from onnxproof.benchmark.head_to_head import HeadToHead
from onnxproof.errors import BenchmarkError, RegisterError, SpecError
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.workspace import scratch_work
from onnxproof.promotion import version_measurement as measuring
from onnxproof.promotion.champion_comparison import FetchedVersion, VersionPair, verdicts_of
from onnxproof.promotion.version_measurement import (
    check_version,
    gates_of,
    measure_version,
    not_measured,
)
from onnxproof.records import (
    Comparison,
    MeasuredElsewhere,
    Placement,
    Proof,
    Verdict,
    VersionMeasurement,
)
from onnxproof.reference.stage import precisions
from onnxproof.report.providers import render_measurement
from onnxproof.spec import Elsewhere, Gates, Provider, parse_spec
from onnxproof.tracking import describe, log_measurement, read_measurement, register
from tests.conftest import TOY

CPU = (Provider(),)


@pytest.fixture
def measured(toy_proof: tuple[Proof, Path], registry: Path) -> VersionMeasurement:
    prepare_children()
    registration = register(*toy_proof)
    gates = Gates(max_p99_ms=1000, max_cpu_placement=0, longest_seconds=1)
    with scratch_work((), local_code=False) as work:
        found = measure_version(toy_proof[0], registration, CPU, gates, work)
        log_measurement(registration, found, work, "by-hand")
        again = read_measurement(registration, "by-hand", Path(work.folder, "again"))
    assert again == found
    return found


def test_a_version_is_held_to_its_proof_and_timed_without_its_source(
    measured: VersionMeasurement,
) -> None:
    (check,) = measured.checks
    assert check.verdict.outcome == "passed"
    assert {latency.runner for latency in measured.benchmark.latencies} == {"version 1"}
    assert measured.benchmark.startups[0].peak_bytes
    assert measured.benchmark.profiles
    outcomes = {gate.name: gate.outcome for gate in measured.gates}
    assert outcomes["parity on CPUExecutionProvider"] == "passed"
    assert outcomes["max_cpu_placement"] == "not_applicable"
    assert outcomes["max_latency_regression"] == "not_applicable"
    # Those that look at the file or at PyTorch have been asked where it was proven.
    assert set(outcomes) <= {"parity on CPUExecutionProvider", *measuring.GATES}


def test_people_are_shown_gates_parity_and_latency(
    measured: VersionMeasurement, registry: Path
) -> None:
    _, registration = describe("models:/toy/1")
    text = render_measurement(registration, measured)
    assert text.startswith("# toy version 1, measured\n")
    for heading in ("## Execution providers", "## Latency", "## Start and memory"):
        assert heading in text
    assert "| parity on CPUExecutionProvider | passed |" in text


def test_wrong_answers_and_nodes_left_to_the_cpu_are_gates_that_fail(
    toy_proof: tuple[Proof, Path], measured: VersionMeasurement
) -> None:
    proof, folder = toy_proof
    placement = Placement(provider="X", nodes={"X": 1, "CPU": 1}, on_cpu=("Add node",))
    verdict = Verdict(name="parity on X", outcome="failed", reason="output 'y' differs by 3")
    found = {"provider": "X", "verdict": verdict, "placement": placement}
    check = measured.checks[0].model_copy(update=found)
    spec = proof.spec.model_copy(update={"gates": Gates(max_cpu_placement=0.2)})
    pair = VersionPair(FetchedVersion("1", folder, proof), None, None, "", broken=False)
    head_to_head = HeadToHead(measured.benchmark, {}, 6)
    gates = {gate.name: gate for gate in gates_of(spec, pair, head_to_head, (check,))}
    assert gates["parity on X"].outcome == gates["max_cpu_placement"].outcome == "failed"
    assert gates["parity on X"].reason == "output 'y' differs by 3"
    message = MeasuredElsewhere(
        deployment="measure-version/x",
        outcome="failed",
        measurement=measured.model_copy(update={"gates": tuple(gates.values())}),
    )
    comparison = Comparison(challenger="1", gates=tuple(verdicts_of([message])))
    assert comparison.against[0].name == "parity on X on measure-version/x"


def test_samples_that_are_not_those_of_the_proof_are_refused(
    toy_proof: tuple[Proof, Path], registry: Path, tmp_path: Path
) -> None:
    proof, folder = toy_proof
    broken = shutil.copytree(folder, tmp_path / "broken")
    sample = broken / "test_data_set_0" / "output_0.pb"
    sample.write_bytes(sample.read_bytes()[:-1] + b"!")
    with (
        scratch_work((), local_code=False) as work,
        pytest.raises(RegisterError, match="is not what was proven; check the artifact store"),
    ):
        check_version(proof, work, broken, CPU)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"deployment": "export-model/nightly"}, "deployment"),
        ({"deployment": "measure-version/gpu", "providers": []}, "providers"),
        ({"deployment": "measure-version/gpu", "seconds": 0}, "seconds"),
    ],
)
def test_an_entry_that_makes_no_sense_is_bad_input(entry: dict[str, Any], said: str) -> None:
    whole = {"providers": [{}], **entry}
    with pytest.raises(SpecError, match=rf"benchmark\.elsewhere\.0\.{said}"):
        parse_spec({**TOY, "benchmark": {"elsewhere": [whole]}})


def test_a_deployment_is_named_once() -> None:
    entry = {"deployment": "measure-version/gpu", "providers": [{}]}
    with pytest.raises(SpecError, match="names measure-version/gpu twice; give that entry all"):
        parse_spec({**TOY, "benchmark": {"elsewhere": [entry, entry]}})


def test_what_is_not_required_is_skipped_with_its_reason() -> None:
    entry = {"deployment": "measure-version/gpu", "providers": [{"required": False}]}
    found = not_measured(Elsewhere.model_validate(entry), "it is out of paper")
    assert (found.outcome, found.reason) == ("skipped", "it is out of paper")
    with pytest.raises(BenchmarkError, match="which the spec requires: it is out of paper"):
        not_measured(Elsewhere.model_validate({**entry, "providers": [{}]}), "it is out of paper")


def test_the_noise_of_a_provider_elsewhere_is_measured_where_pytorch_is() -> None:
    entry = {
        "deployment": "measure-version/gpu",
        "providers": [{"name": "CUDAExecutionProvider"}],
    }
    spec = parse_spec({**TOY, "benchmark": {"elsewhere": [entry]}})
    assert precisions(spec) == ["tf32"]
