"""What is read over REST is what MLflow's own client reads, from a real server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from onnxproof import tracking
from onnxproof.errors import SourceError
from onnxproof.records import Proof
from onnxproof.settings import read_settings
from onnxproof.tracking.rest_reader import MlflowNeeded, RestReader
from onnxproof.tracking.unfinished_runs import STATE_TAG, start_tags
from onnxproof.tracking.versions import read_registration

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("server")]
FIND_AND_PROMOTE = """
import sys
from onnxproof import tracking
from onnxproof.errors import SourceError
found = tracking.find_version("toy", sys.argv[1])
print(tracking.promote(found, sys.argv[2]).model_dump_json() if found else "none")
print("mlflow" in sys.modules)
"""


def found_in_a_new_process(key: str, mode: str) -> tuple[str, bool]:
    """What ``find_version`` and ``promote`` gave, and whether mlflow was imported for it."""
    command = [sys.executable, "-c", FIND_AND_PROMOTE, key, mode]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    registration, imported = ended.stdout.splitlines()
    return registration, imported == "True"


def test_mlflow_is_imported_only_when_there_is_something_to_write(
    toy_proof: tuple[Proof, Path],
) -> None:
    proof, folder = toy_proof
    made = tracking.promote(tracking.register(proof, folder), "never")
    client = MlflowClient()

    assert found_in_a_new_process("0" * 64, "auto") == ("none", False)
    assert found_in_a_new_process(proof.proof_key, "never") == (made.model_dump_json(), False)

    champion, imported = found_in_a_new_process(proof.proof_key, "auto")
    assert imported
    assert '"aliases":["challenger","champion"]' in champion
    assert found_in_a_new_process(proof.proof_key, "auto") == (champion, False)

    experiment = client.get_run(made.run_id).info.experiment_id
    left = client.create_run(experiment, tags=start_tags("toy") | {"onnxproof.process": "gone"})
    client.update_run(left.info.run_id, "RUNNING")
    # Of another machine and not old: it may still run.
    assert found_in_a_new_process(proof.proof_key, "auto") == (champion, False)
    assert client.get_run(left.info.run_id).data.tags[STATE_TAG] == "registering"


def test_every_answer_is_that_of_mlflows_client(toy_proof: tuple[Proof, Path]) -> None:
    proof, folder = toy_proof
    made = tracking.promote(tracking.register(proof, folder), "auto")
    client, reader = MlflowClient(), RestReader(read_settings().tracking_uri)
    asked = {"get_model_version": made.version, "get_model_version_by_alias": "champion"}
    for method, which in asked.items():
        versions = [getattr(api, method)("toy", which) for api in (client, reader)]
        for field in ("name", "version", "run_id", "source", "aliases", "tags"):
            assert getattr(versions[1], field) == getattr(versions[0], field)
        assert versions[1].version == made.version
    models = [api.get_registered_model("toy").aliases for api in (client, reader)]
    assert {name: str(version) for name, version in models[0].items()} == models[1]
    runs = [api.get_run(made.run_id) for api in (client, reader)]
    assert runs[1].info.start_time == runs[0].info.start_time
    assert runs[1].data.tags == runs[0].data.tags
    found = reader.search_runs([runs[0].info.experiment_id], f"tags.`{STATE_TAG}` = 'registered'")
    assert [run.info.run_id for run in found] == [made.run_id]
    assert read_registration(reader, "toy", made.version) == made  # type: ignore[arg-type]


def test_an_alias_is_pinned_alike_by_rest_and_by_mlflows_client(
    toy_proof: tuple[Proof, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, folder = toy_proof
    made = tracking.promote(tracking.register(proof, folder), "auto")
    reader = RestReader(read_settings().tracking_uri)
    with monkeypatch.context() as patch:
        patch.setattr("onnxproof.tracking.client.talking", None)  # MLflow's client is not asked
        by_rest = tracking.pin("models:/toy@champion")
    with pytest.raises(MlflowNeeded, match=r"40[04]"):
        reader.get_model_version_by_alias("toy", "nobody")
    with pytest.raises(MlflowNeeded, match=r"40[04]"):
        reader.get_model_version_by_alias("nothing", "champion")
    with pytest.raises(SourceError) as message:
        tracking.pin("models:/toy@nobody")
    monkeypatch.setattr("onnxproof.tracking.client.is_http", lambda _: False)  # MLflow's own client
    assert tracking.pin("models:/toy@champion") == by_rest
    assert by_rest.uri == f"models:/toy/{made.version}"
    with pytest.raises(SourceError) as answer_of_mlflow:
        tracking.pin("models:/toy@nobody")
    assert str(message.value) == str(answer_of_mlflow.value)
    assert "the registry has no models:/toy@nobody; of toy it has" in str(message.value)


def test_what_is_not_there_and_what_writes_is_left_to_mlflows_client() -> None:
    reader = RestReader(read_settings().tracking_uri)
    with pytest.raises(MlflowNeeded, match="404"):
        reader.get_model_version("toy", "1")
    with pytest.raises(MlflowNeeded, match="set_registered_model_alias"):
        reader.set_registered_model_alias("toy", "champion", "1")
    with pytest.raises(MlflowNeeded, match="refused"):
        RestReader("http://127.0.0.1:9").get_run("1")
