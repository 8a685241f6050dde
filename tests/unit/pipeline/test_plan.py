from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import BadInput, ProofRefused, SourceError, SpecError
from onnxproof.pipeline.plan import Plan, make_plan, override_lines
from onnxproof.proof.local import find_local
from onnxproof.records import Proof
from onnxproof.settings import Settings, read_settings
from tests.helpers.specs import ROOT, spec_of


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ONNXPROOF_HOME", str(tmp_path))
    return read_settings()


def planned(settings: Settings, *overrides: str, **sections: Any) -> Plan:
    return make_plan(spec_of(**sections), overrides, settings, local_code=True)


def test_a_spec_is_planned_as_it_is(settings: Settings) -> None:
    plan = planned(settings)
    assert plan.spec == spec_of()
    assert plan.roots == (str(ROOT),)


def test_overrides_hold_for_a_spec_too(settings: Settings) -> None:
    tokens: dict[str, Any] = {
        "inputs": {"a": "int64[batch, 2*seq] in 0..9", "b": "int64[batch, seq] mask", "c": "float"},
        "dims": {"batch": {"max": 8}, "seq": {"max": 8, "multiple_of": 2}},
        "outputs": {"y": {"tolerance": {"atol": 0, "rtol": 1e-3}}},
        "promote": "auto",
    }
    plan = planned(settings, "promote=never", "dims.batch.max=9", **tokens)
    tokens["dims"]["batch"] = {"max": 9}
    assert plan.spec == spec_of(**{**tokens, "promote": "never"})


def test_an_override_that_means_nothing_is_reported(settings: Settings) -> None:
    with pytest.raises(SpecError, match=r"toy is not valid. promote: Input should be 'auto' or"):
        planned(settings, "promote=maybe")


def test_a_name_is_looked_up_in_the_catalog(settings: Settings) -> None:
    plan = make_plan(
        "digits-cnn", ["source.weights=null", "dataset=null"], settings, local_code=True
    )
    assert plan.spec.name == "digits-cnn"


def test_a_deployment_takes_the_catalog_and_allowed_code_alone(settings: Settings) -> None:
    with pytest.raises(SpecError, match=r"no model 'tests.helpers.models:linear' in the catalog"):
        make_plan(
            "tests.helpers.models:linear", ["inputs.x=float32[4]"], settings, local_code=False
        )
    with pytest.raises(SourceError, match="package tests is not allowed"):
        make_plan(spec_of(), [], settings, local_code=False)


def test_bad_input_is_reported_before_anything_is_loaded(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"no file none\.pt"):
        planned(settings, source={"weights": {"path": "none.pt"}})


def test_the_key_waits_for_the_weights_where_only_the_factory_knows_them(
    settings: Settings, toy_proof: tuple[Proof, Path]
) -> None:
    loaded = toy_proof[0].loaded
    plan = planned(settings)
    assert plan.key is None
    other = loaded.model_copy(update={"weights_sha256": "0" * 64})
    assert plan.key_of(loaded) == plan.key_of(loaded) != plan.key_of(other)


def test_the_work_folder_stays_when_a_run_ends_well_or_is_refused(settings: Settings) -> None:
    plan = planned(settings)
    with plan.working() as work:
        assert "onnxproof.flow_version" in work.metadata
    refused = pytest.raises(ProofRefused)
    with refused, plan.working() as second:
        raise ProofRefused("no candidate was proven")
    assert Path(work.folder).is_dir()
    assert Path(second.folder).is_dir()


def test_the_work_folder_goes_when_a_run_ends_on_bad_input(settings: Settings) -> None:
    with pytest.raises(BadInput), planned(settings).working() as work:
        raise SpecError("outputs names 1")
    assert not Path(work.folder).exists()


def test_options_are_overrides(settings: Settings) -> None:
    lines = override_lines({"x": "float32[batch, 4]"}, {"batch": (2, 9)})
    assert lines == ["inputs.x=float32[batch, 4]", "dims.batch={min: 2, max: 9}"]
    assert override_lines(None, None) == []
    plan = make_plan("tests.helpers.models:linear", lines, settings, local_code=True)
    assert plan.spec == spec_of(name="models", inputs={"x": "float32[batch, 4]"},
                                dims={"batch": {"min": 2, "max": 9}})  # fmt: skip


def test_a_local_proof_is_found_by_its_key(toy_proof: tuple[Proof, Path]) -> None:
    proof, folder = toy_proof
    home = folder.parents[2]
    assert find_local(home, "toy", proof.proof_key) == (folder, proof)
    assert find_local(home, "toy", "0" * 64) is None
    assert find_local(home, "other", proof.proof_key) is None


@pytest.mark.parametrize("damage", ["model gone", "model changed", "manifest"])
def test_a_local_proof_whose_file_is_another_is_none(
    tmp_path: Path, toy_proof: tuple[Proof, Path], damage: str
) -> None:
    proof, folder = toy_proof
    copy = tmp_path / "work" / "toy" / folder.name
    copy.mkdir(parents=True)
    for name in ("model.onnx", "proof.json"):
        (copy / name).write_bytes((folder / name).read_bytes())
    assert find_local(tmp_path, "toy", proof.proof_key) is not None
    if damage == "model gone":
        (copy / "model.onnx").unlink()
    elif damage == "model changed":
        (copy / "model.onnx").write_bytes(b"other")
    else:
        (copy / "proof.json").write_text('{"schema_version": 99}')
    assert find_local(tmp_path, "toy", proof.proof_key) is None


def test_the_newest_of_several_local_proofs_is_taken(
    tmp_path: Path, toy_proof: tuple[Proof, Path]
) -> None:
    proof, folder = toy_proof
    for name in ("20260101-000000-000000", "20260102-000000-000000"):
        copy = tmp_path / "work" / "toy" / name
        copy.mkdir(parents=True)
        for file in ("model.onnx", "proof.json"):
            (copy / file).write_bytes((folder / file).read_bytes())
    found = find_local(tmp_path, "toy", proof.proof_key)
    assert found is not None
    assert found[0].name == "20260102-000000-000000"
