from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from onnxproof.commands import doctor
from onnxproof.commands.doctor import NEEDED, Finding, examine
from onnxproof.settings import Settings
from tests.helpers.specs import ROOT


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
        artifact_root=tmp_path,
        prefect_api_url=None,
        allow=("mynets",),
        catalog=ROOT / "deployments" / "catalog",
    )


def found(settings: Settings, name: str) -> Finding:
    return next(finding for finding in examine(settings) if finding.name == name)


def without(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Have some distributions in other versions, or not at all."""
    real = doctor._version
    changed = {name.replace("_", "-"): version for name, version in versions.items()}
    monkeypatch.setattr(
        doctor, "_version", lambda name: changed[name] if name in changed else real(name)
    )


def test_this_machine_works(settings: Settings) -> None:
    findings = examine(settings)
    assert [finding for finding in findings if finding.outcome == "bad"] == []
    assert [finding.name for finding in findings] == [
        "machine", "onnxproof", *NEEDED, "runtime", "providers", "fastapi", "servers", "home",
        "catalog", "allowed",
    ]  # fmt: skip


def test_looking_changes_nothing(settings: Settings) -> None:
    examine(settings)
    assert not settings.home.exists()


def test_providers_are_reported_by_their_full_names(settings: Settings) -> None:
    assert "CPUExecutionProvider" in found(settings, "providers").text.split(", ")


def test_a_missing_distribution_is_bad_with_the_way_to_get_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, onnxsim=None)
    assert found(settings, "onnxsim") == Finding(
        "onnxsim", "bad", "is not installed; `pip install onnxsim`", exit_code=2
    )


@pytest.mark.parametrize(
    ("cpu", "gpu", "outcome", "text"),
    [
        ("1.32", None, "good", "onnxruntime 1.32"),
        (None, "1.32", "good", "onnxruntime-gpu 1.32"),
        (
            "1.32",
            "1.31",
            "bad",
            "onnxruntime 1.32, onnxruntime-gpu 1.31 are both installed; uninstall both, then inst",
        ),
        (None, None, "bad", "no ONNX Runtime; `pip install onnxproof[cpu]` or `onnxproof[gpu]`"),
    ],
    ids=["cpu", "gpu", "both", "none"],
)
def test_exactly_one_onnx_runtime_is_good(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    cpu: str | None,
    gpu: str | None,
    outcome: str,
    text: str,
) -> None:
    without(monkeypatch, onnxruntime=cpu, onnxruntime_gpu=gpu)
    finding = found(settings, "runtime")
    assert finding.outcome == outcome
    assert finding.text.startswith(text)


@pytest.mark.parametrize(
    ("version", "outcome"), [("0.150.1", "good"), ("0.151.0", "bad"), ("1.0", "bad"), (None, "bad")]
)
def test_a_fastapi_with_which_prefect_does_not_start_is_bad(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, version: str | None, outcome: str
) -> None:
    without(monkeypatch, fastapi=version)
    assert found(settings, "fastapi").outcome == outcome


def test_servers_are_shown_without_credentials(settings: Settings) -> None:
    database = replace(settings, tracking_uri="postgresql://me:secret@host/db")
    assert found(database, "servers").text == (
        "MLflow postgresql://host/db, Prefect temporary server"
    )


def test_a_server_that_is_down_is_bad_with_its_own_exit_code(settings: Settings) -> None:
    finding = found(replace(settings, tracking_uri="http://127.0.0.1:1"), "servers")
    assert (finding.outcome, finding.exit_code) == ("bad", 5)
    assert "correct MLFLOW_TRACKING_URI" in finding.text


def test_a_home_below_a_file_is_bad(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    assert found(replace(settings, home=home), "home") == Finding(
        "home", "bad", f"{home} cannot be written; set ONNXPROOF_HOME", exit_code=2
    )


def test_a_disk_that_is_almost_full_is_worth_a_note(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "FREE_GB", 10**9)
    assert found(settings, "home").outcome == "note"


def test_the_catalog_is_reported_and_an_empty_one_is_worth_a_note(
    settings: Settings, tmp_path: Path
) -> None:
    assert found(settings, "catalog").text.startswith("digits-cnn, minilm in ")
    assert found(replace(settings, catalog=tmp_path), "catalog").outcome == "note"


def test_what_may_be_loaded_is_reported(settings: Settings) -> None:
    assert found(settings, "allowed").text == "code of mynets"
    assert found(replace(settings, allow=()), "allowed").text.startswith("no package; ")
