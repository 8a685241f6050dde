"""A version is measured by another machine: a process of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun

from flows.measure_version import measure_version
from onnxproof.api import export_model
from onnxproof.errors import BenchmarkError
from onnxproof.records import Registration
from onnxproof.spec import Elsewhere, Gates
from tasks.dispatch import measured_by
from tests.conftest import ROOT, TOY
from tests.flows.conftest import Ended

pytestmark = pytest.mark.prefect
POOL = "onnxproof-gpu"
VERSION = Registration(
    name="toy",
    version="1",
    model_uri="models:/toy/1",
    model_id="m",
    run_id="r",
    run_url="",
    aliases=(),
)


def asking(deployment: str, seconds: float = 120, **provider: Any) -> dict[str, Any]:
    """Sections of a spec that asks another machine, and is in no hurry with its own gates."""
    there = {"deployment": f"measure-version/{deployment}", "seconds": seconds}
    entry = {**there, "providers": [{"name": "CPUExecutionProvider", **provider}]}
    gates = {"max_latency_regression": 20, "max_cpu_placement": 0, "inconclusive": "pass"}
    return {"benchmark": {"samples": 12, "elsewhere": [entry]}, "gates": gates}


@pytest.fixture
def fleet(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tests' Prefect is a server that is configured, which a temporary one is not."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    return prefect_api


@pytest.fixture
def there(fleet: str, registry: Path, tmp_path: Path) -> Iterator[None]:
    """The other machine; it shares Prefect's and MLflow's servers with this one, no more."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{registry}/mlflow.db",
        "ONNXPROOF_HOME": str(tmp_path / "other-home"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    servers = [sys.executable, "-m", "onnxproof.servers"]
    subprocess.run([*servers, "deploy"], cwd=ROOT, env=environment, check=True)
    with (tmp_path / "there.log").open("wb") as log:
        process = subprocess.Popen(
            [*servers, "worker", "--pool", POOL], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_another_machine_measures_the_version_and_logs_to_its_run(
    there: None,
    onnxproof: Callable[..., Ended],
    write_spec: Callable[..., Path],
    registry: Path,
    tmp_path: Path,
) -> None:
    ended = onnxproof("export", write_spec(**asking("gpu")))
    assert (ended.code, ended.outcome["status"]) == (0, "proven"), ended.text
    gates = {gate["name"]: gate for gate in ended.outcome["gates"]}
    parity = gates["parity on CPUExecutionProvider on measure-version/gpu"]
    assert parity["outcome"] == "passed"
    assert "within tolerance" in parity["reason"]
    assert gates["max_cpu_placement on measure-version/gpu"]["outcome"] == "not_applicable"

    client = MlflowClient(tracking_uri=f"sqlite:///{registry}/mlflow.db")
    run_id = client.get_model_version("toy", "1").run_id
    assert run_id is not None
    (folder,) = client.list_artifacts(run_id, "measured")
    files = {Path(artifact.path).name for artifact in client.list_artifacts(run_id, folder.path)}
    assert files == {"benchmark.parquet", "latency.png", "measurement.json", "measurement.md"}
    metrics = client.get_run(run_id).data.metrics
    assert metrics["max_abs_diff/CPUExecutionProvider/output"] >= 0
    kept = client.download_artifacts(run_id, "comparison.json", str(tmp_path))
    (message,) = json.loads(Path(kept).read_text())["elsewhere"]
    assert message["measurement"]["model_uri"] == "models:/toy/1"
    assert message["measurement"]["benchmark"]["latencies"][0]["runner"] == "version 1"

    other = {"factory": "tests.helpers.models:scaled", "kwargs": {"seed": 1}}
    second = onnxproof("export", write_spec(**asking("gpu"), source=other))
    gates = {gate["name"]: gate for gate in second.outcome["gates"]}
    beside = gates["max_latency_regression on measure-version/gpu"]
    assert "times the latency of version 1" in beside["reason"]


def test_a_provider_that_is_not_there_is_a_failure_where_it_is_required(
    there: None, onnxproof: Callable[..., Ended], write_spec: Callable[..., Path]
) -> None:
    cuda: dict[str, Any] = {"name": "CUDAExecutionProvider"}
    ended = onnxproof("export", write_spec(**asking("gpu", **cuda)))
    assert ended.code == 3
    assert (
        "measure-version/gpu was asked to measure the version on CUDAExecutionProvider, which "
        "the spec requires: its run measure-models:/toy/1 ended as Failed: "
    ) in ended.outcome["reason"]
    assert "CUDAExecutionProvider" in ended.outcome["reason"].partition("Failed: ")[2]

    spec = write_spec(**asking("gpu", required=False, **cuda))
    ended = onnxproof("export", spec)
    assert (ended.code, ended.outcome["status"]) == (0, "proven"), ended.text
    assert not [gate for gate in ended.outcome["gates"] if "CUDA" in gate["name"]]


def test_a_deployment_that_is_not_there_is_said_and_the_version_stays_challenger(
    fleet: str, onnxproof: Callable[..., Ended], write_spec: Callable[..., Path], registry: Path
) -> None:
    ended = onnxproof("export", write_spec(**asking("nowhere")))
    assert (ended.code, ended.outcome["stage"]) == (3, "benchmark")
    assert "Prefect did not run it" in ended.outcome["reason"]
    assert "`make deploy`" in ended.outcome["reason"]
    client = MlflowClient(tracking_uri=f"sqlite:///{registry}/mlflow.db")
    assert set(client.get_registered_model("toy").aliases) == {"challenger"}
    assert onnxproof("export", write_spec(**asking("nowhere", required=False))).code == 0


def test_a_run_that_nobody_takes_up_is_cancelled(
    fleet: str, onnxproof: Callable[..., Ended], write_spec: Callable[..., Path]
) -> None:
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(measure_version)
        deployment = client.create_deployment(flow_id, "unattended")
        ended = onnxproof("export", write_spec(**asking("unattended", seconds=1)))
        assert ended.code == 3
        assert "it was Scheduled after 1 s and is cancelled" in ended.outcome["reason"]
        (run,) = runs_of(client, deployment)
        assert run.state_name == "Cancelled"


def test_a_run_whose_asker_is_interrupted_is_cancelled(
    fleet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.dispatch.say", interrupt)  # what it does while it waits
    asked = Elsewhere.model_validate(asking("left")["benchmark"]["elsewhere"][0])
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(measure_version), "left")
        with pytest.raises(KeyboardInterrupt):
            measured_by(asked, VERSION, Gates())
        (run,) = runs_of(client, deployment)
        assert run.state_name == "Cancelled"


def runs_of(client: Any, deployment: Any) -> list[FlowRun]:
    of_it = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    return list(client.read_flow_runs(deployment_filter=of_it))


def test_without_prefect_nobody_can_be_asked(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxproof.spec import parse_spec

    monkeypatch.chdir(ROOT)
    with pytest.raises(BenchmarkError, match="only a Prefect server can ask another machine"):
        export_model(parse_spec({**TOY, **asking("gpu")}))
    ended = export_model(parse_spec({**TOY, **asking("gpu", required=False)}))
    assert ended.status == "proven"
