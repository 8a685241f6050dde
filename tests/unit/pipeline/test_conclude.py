from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from onnxproof.errors import CheckError, ExportError, ProofRefused
from onnxproof.pipeline.conclude import conclude
from onnxproof.proof import versions
from onnxproof.proof.manifest import read_proof
from onnxproof.records import Attempt, Candidate, Proof, Run, SearchResult, Work
from onnxproof.report.proof import render_proof
from tests.helpers.graphs import (
    AFFINE,
    affine_reference,
    benchmark_of,
    candidate_of,
    save,
    verdicts_on,
)
from tests.helpers.specs import spec_of, work_in


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path)


def search_of(chosen: Candidate, *others: Attempt) -> SearchResult:
    attempt = Attempt(
        label=chosen.label,
        outcome="passed",
        reason="proven",
        candidate=chosen,
        check=verdicts_on(chosen),
        chosen=True,
    )
    return SearchResult(
        attempts=(*others, attempt), chosen=chosen, benchmark=benchmark_of(**{chosen.label: 0.5})
    )


def concluded(work: Work, search: SearchResult) -> Proof:
    return conclude(Run(spec_of(), work, affine_reference(work)), "k" * 64, search)


def test_a_proof_is_about_the_file_that_was_checked_under_its_final_name(work: Work) -> None:
    chosen = save(AFFINE, work)
    proof = concluded(work, search_of(chosen))
    assert proof.chosen.model.path == "model.onnx"
    assert proof.chosen.model.sha256 == proof.check.sha256 == chosen.model.sha256
    assert proof.chosen.model.unchanged(work.folder)
    assert proof.chosen == chosen.model_copy(update={"model": proof.chosen.model})


def test_the_final_file_takes_no_space_of_its_own(work: Work) -> None:
    chosen = save(AFFINE, work)
    concluded(work, search_of(chosen))
    final = Path(work.path("model.onnx"))
    assert final.samefile(work.path(chosen.model.path))


def test_a_file_left_from_before_is_replaced(work: Work) -> None:
    Path(work.path("model.onnx")).write_bytes(b"of another run")
    assert concluded(work, search_of(save(AFFINE, work))).chosen.model.unchanged(work.folder)


def test_a_proof_comes_back_from_its_folder_and_has_its_report_beside_it(work: Work) -> None:
    proof = concluded(work, search_of(save(AFFINE, work)))
    assert read_proof(Path(work.path("proof.json"))) == proof
    assert Path(work.path("report.md")).read_text() == render_proof(proof, folder=Path(work.folder))


def test_a_proof_says_what_made_it_and_when(work: Work) -> None:
    proof = concluded(work, search_of(save(AFFINE, work)))
    assert proof.versions.onnxproof == versions.package_version()
    assert proof.versions.toolchain == versions.toolchain_versions()
    age = datetime.now(UTC) - datetime.fromisoformat(proof.created_at)
    assert 0 <= age.total_seconds() < 60
    assert (proof.name, proof.proof_key, proof.spec) == ("toy", "k" * 64, spec_of())


def test_every_attempt_is_kept_also_those_that_failed(work: Work) -> None:
    failed = Attempt(label="dynamo", outcome="failed", reason="no such operator")
    proof = concluded(work, search_of(save(AFFINE, work), failed))
    assert [attempt.label for attempt in proof.attempts] == ["dynamo", "trace"]


def test_a_file_that_changed_since_the_check_gets_no_proof(work: Work) -> None:
    chosen = save(AFFINE, work)
    path = Path(work.path(chosen.model.path))
    path.write_bytes(path.read_bytes().replace(b"affine", b"affinE"))
    with pytest.raises(CheckError, match=r"model.onnx is not the file that was checked; run again"):
        concluded(work, search_of(chosen))
    assert not Path(work.path("proof.json")).exists()


@pytest.mark.parametrize("checked", [True, False])
def test_without_a_proven_candidate_there_is_no_proof(work: Work, *, checked: bool) -> None:
    candidate = candidate_of()
    attempt = Attempt(
        label="dynamo",
        outcome="failed",
        reason="off by 3",
        candidate=candidate if checked else None,
        check=verdicts_on(candidate, "off by 3") if checked else None,
    )
    with pytest.raises(ProofRefused if checked else ExportError, match="dynamo: off by 3"):
        concluded(work, SearchResult(attempts=(attempt,)))
    assert not Path(work.path("proof.json")).exists()


def test_a_proof_holds_no_path_of_this_machine_but_the_specs(
    toy_proof: tuple[Proof, Path], tmp_path: Path
) -> None:
    text = (toy_proof[1] / "proof.json").read_text()
    assert str(toy_proof[1]) not in text
    moved = shutil.copytree(toy_proof[1], tmp_path / "moved")
    proof = read_proof(Path(moved, "proof.json"))
    assert proof.chosen.model.unchanged(moved)
    for point in proof.loaded.reference.points:
        for name in point.sets:
            assert Path(moved, proof.loaded.reference.folder, name, "output_0.pb").is_file()
