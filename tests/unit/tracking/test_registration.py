from __future__ import annotations

import math
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from onnxproof import tracking
from onnxproof.artifact import sha256_of
from onnxproof.errors import BadInput, ProofRefused, RegisterError, ServerUnreachable
from onnxproof.records import Proof
from onnxproof.tracking import registration, versions
from onnxproof.tracking.model_folder import requirements_of
from onnxproof.tracking.run_metrics import run_metrics
from onnxproof.tracking.unfinished_runs import PROCESS_TAG, STATE_TAG, kept_open, start_tags

ROOT = Path(__file__).parents[3]


def runs(client: MlflowClient) -> list[Any]:
    return list(client.search_runs(["1"]))


def state_of(client: MlflowClient) -> list[str]:
    return sorted(run.data.tags[STATE_TAG] for run in runs(client))


def champion_of(client: MlflowClient) -> str:
    return str(client.get_model_version_by_alias("toy", "champion").version)


def another(proof: Proof, key: str = "b" * 64) -> Proof:
    return proof.model_copy(update={"proof_key": key})


def test_a_registered_version_is_found_by_its_key_and_by_no_other(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    assert tracking.find_version("toy", proof.proof_key) is None
    made = tracking.register(proof, work)
    assert made.aliases == ("challenger",)
    assert tracking.find_version("toy", proof.proof_key) == made
    assert tracking.find_version("toy", "0" * 64) is None
    assert tracking.find_version("other", proof.proof_key) is None


def test_the_registry_holds_the_proven_bytes_and_what_replays_them(
    client: MlflowClient, proof: Proof, work: Path, tmp_path: Path
) -> None:
    made = tracking.register(proof, work)
    folder = tracking.download(made.model_uri, tmp_path / "fetched")
    assert sha256_of(folder / "model.onnx") == proof.check.sha256
    names = {path.name for path in folder.iterdir()}
    assert names >= {"MLmodel", "proof.json", "replay.py", "report.md", "test_data_set_0"}
    command = [sys.executable, str(folder / "replay.py")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "the proof holds on CPUExecutionProvider" in answer.stdout


def test_version_run_and_logged_model_say_what_was_proven(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    made = tracking.register(proof, work)
    version = client.get_model_version("toy", made.version)
    assert version.tags["onnxproof.flow_version"] == proof.versions.flow
    assert version.tags["onnxproof.sha256"] == proof.check.sha256
    (run,) = runs(client)
    assert (run.info.status, run.data.tags[STATE_TAG]) == ("FINISHED", "registered")
    assert run.data.tags["onnxproof.flow_version"] == proof.versions.flow
    assert run.data.params["dims.batch"] == "1..8"
    logged = client.get_logged_model(made.model_id)
    assert (logged.status, logged.source_run_id) == ("READY", made.run_id)
    numbers = {metric.key: metric.value for metric in logged.metrics or ()}
    assert numbers == pytest.approx(run_metrics(proof))
    assert numbers["max_abs_diff/output"] < 1e-5
    assert any(name.startswith("speedup/CPUExecutionProvider/batch:") for name in numbers)


def test_the_signature_has_minus_one_where_the_size_is_dynamic(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    from mlflow.models import get_model_info

    made = tracking.register(proof, work)
    info = get_model_info(made.model_uri)
    signature = info.signature
    assert [
        (signature_input.name, signature_input.shape) for signature_input in signature.inputs
    ] == [("x", (-1, 4))]
    assert [(output.name, output.shape) for output in signature.outputs] == [("output", (-1, 3))]
    assert info.metadata is not None
    assert info.metadata["onnxproof.flow_version"] == proof.versions.flow


def test_requirements_name_the_proven_versions_and_nothing_of_ours(proof: Proof) -> None:
    names = [line.partition("==")[0] for line in requirements_of(proof)]
    assert names == ["numpy", "onnx", "onnxruntime"]
    assert all("==" in line for line in requirements_of(proof))


def test_metrics_are_finite_and_have_names_that_mlflow_takes(proof: Proof) -> None:
    broken = proof.check.parity[0].model_copy(
        update={"name": "a+b|c", "max_abs_diff": math.inf, "max_rel_diff": math.nan}
    )
    check = proof.check.model_copy(update={"parity": (broken, proof.check.parity[0])})
    found = run_metrics(proof.model_copy(update={"check": check}))
    assert "max_abs_diff/output" in found
    assert not any("a-b-c" in name for name in found)
    assert all(math.isfinite(value) for value in found.values())


def test_auto_makes_it_champion_and_never_leaves_it_challenger(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    made = tracking.register(proof, work)
    assert tracking.promote(made, "never").aliases == ("challenger",)
    assert tracking.promote(made, "auto").aliases == ("challenger", "champion")


def test_a_newer_version_takes_both_aliases(client: MlflowClient, proof: Proof, work: Path) -> None:
    first = tracking.promote(tracking.register(proof, work), "auto")
    second = tracking.promote(tracking.register(another(proof), work), "auto")
    assert second.aliases == ("challenger", "champion")
    again = tracking.find_version("toy", proof.proof_key)
    assert again is not None
    assert (again.version, again.aliases) == (first.version, ())


def test_a_spec_that_goes_back_makes_its_old_version_champion_again(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    first = tracking.promote(tracking.register(proof, work), "auto")
    tracking.promote(tracking.register(another(proof), work), "auto")
    assert tracking.promote(first, "auto").aliases == ("champion",)


def test_a_version_that_a_person_rolled_back_is_left_alone(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    first = tracking.promote(tracking.register(proof, work), "auto")
    second = tracking.promote(tracking.register(another(proof), work), "auto")
    client.set_registered_model_alias("toy", "champion", first.version)
    assert tracking.promote(second, "auto").aliases == ("challenger",)
    assert champion_of(client) == first.version


@pytest.mark.parametrize("spoil", ["bytes", "numbers", "set"])
def test_what_comes_back_other_than_proven_is_never_a_version(
    client: MlflowClient, proof: Proof, work: Path, spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = versions.fetch

    def spoiled(uri: str, folder: Path) -> Path:
        fetched = real(uri, folder)
        if spoil == "bytes":
            (fetched / "model.onnx").write_bytes(b"another graph")
        elif spoil == "numbers":
            output = fetched / "test_data_set_0" / "output_0.pb"
            output.write_bytes((fetched / "test_data_set_1" / "output_0.pb").read_bytes())
        else:
            shutil.rmtree(fetched / "test_data_set_0")
        return fetched

    monkeypatch.setattr(registration, "fetch", spoiled)
    with pytest.raises((RegisterError, ProofRefused, BadInput)):
        tracking.register(proof, work)
    assert client.search_model_versions("name = 'toy'") == []
    assert state_of(client) == ["failed"]
    assert client.search_logged_models(["1"]) == []


def test_a_file_that_changed_in_the_work_folder_is_noticed(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    data = (work / "model.onnx").read_bytes()
    (work / "model.onnx").unlink()
    (work / "model.onnx").write_bytes(data + b"\0")
    with pytest.raises(RegisterError, match=r"gives back .* is not the proven file"):
        tracking.register(proof, work)


def test_a_run_that_a_killed_process_left_is_removed_by_the_next(
    client: MlflowClient, proof: Proof, work: Path
) -> None:
    made = tracking.register(proof, work)
    tags = start_tags("toy") | {PROCESS_TAG: start_tags("toy")[PROCESS_TAG] + "0"}
    left = client.create_run("1", tags=tags)
    logged = client.create_logged_model("1", name="toy", source_run_id=left.info.run_id)
    running = client.create_run("1", tags=start_tags("toy"))
    with kept_open(running.info.run_id):
        tracking.promote(made, "never")
    assert client.get_run(left.info.run_id).data.tags[STATE_TAG] == "abandoned"
    assert client.get_run(left.info.run_id).info.status == "KILLED"
    assert logged.model_id not in {model.model_id for model in client.search_logged_models(["1"])}
    assert client.get_run(running.info.run_id).info.status == "RUNNING"


KILLED_AT = [
    "_start_run",
    "_log_model",
    "_fetch_and_replay",
    "_create_version",
    "give_alias",
    "end_run",
]


@pytest.mark.parametrize("place", KILLED_AT)
def test_a_kill_at_any_step_leaves_consumers_alone_and_the_next_run_finishes(
    client: MlflowClient, proof: Proof, work: Path, place: str
) -> None:
    champion = tracking.promote(tracking.register(another(proof), work), "auto")
    code = f"""
        import os, signal
        from pathlib import Path
        from onnxproof import tracking
        from onnxproof.isolation.child import prepare_children
        from onnxproof.proof.manifest import read_proof
        from onnxproof.tracking import registration, versions
        real = registration.{place}
        def then_die(*args, **kwargs):
            real(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        registration.{place} = then_die
        prepare_children(preload=("onnx",))
        work = Path({str(work)!r})
        tracking.register(read_proof(work / "proof.json"), work)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == -9, answer.stderr
    assert champion_of(client) == champion.version
    found = tracking.find_version("toy", proof.proof_key)
    assert (found is not None) == (place in ("_create_version", "give_alias", "end_run"))
    ended = tracking.promote(found or tracking.register(proof, work), "auto")
    assert ended.aliases == ("challenger", "champion")
    assert set(state_of(client)) <= {"registered", "abandoned"}
    assert len(client.search_model_versions("name = 'toy'")) == 2


def test_a_server_that_goes_away_is_reported_with_what_to_do(
    proof: Proof, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ServerUnreachable) as caught:
        tracking.register(proof, work)
    text = str(caught.value)
    assert "MLflow at http://127.0.0.1:9 was asked to register toy" in text
    assert f"its proof stays in {work}" in text
    assert "run the same again" in text
    assert "secret" not in text.partition("(")[0]
