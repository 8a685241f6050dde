"""The gates of a promotion, from the command line to the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.prefect
SLOW = {"inputs": {"x": "float32[batch, 256]"}, "dims": {"batch": {"max": 8}}}


def of_layers(layers: int) -> dict[str, Any]:
    """A model whose latency grows with its layers; its spec asks for a short comparison."""
    return {
        **SLOW,
        "source": {"factory": "tests.helpers.models:deep", "kwargs": {"layers": layers}},
        "benchmark": {"seconds": 1},
        "gates": {
            "max_latency_regression": 0.5,
            "max_size_growth": 100,
            "longest_seconds": 5,
            "inconclusive": "pass",  # of a machine that is busy with other tests
        },
    }


@pytest.fixture
def client(registry: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{registry}/mlflow.db")


def aliases(client: MlflowClient) -> dict[str, str]:
    return {
        name: str(aliase) for name, aliase in client.get_registered_model("toy").aliases.items()
    }


def test_a_slower_version_stays_challenger_until_the_gate_lets_it_through(
    onnxproof: Callable[..., Any], write_spec: Callable[..., Path], client: MlflowClient
) -> None:
    first = onnxproof("export", write_spec(**of_layers(2)))
    assert (first.code, first.outcome["status"]) == (0, "proven")
    gates = {gate["name"]: gate for gate in first.outcome["gates"]}
    assert gates["max_latency_regression"]["outcome"] == "not_applicable"
    assert gates["max_latency_regression"]["reason"] == "there is no other champion"

    slow = of_layers(12)
    second = onnxproof("export", write_spec(**slow))
    assert second.code == 4
    assert (second.outcome["status"], second.outcome["stage"]) == ("refused", "promote")
    assert second.outcome["model_uri"] == "models:/toy/2"
    assert "toy version 2 is proven and registered, and stays challenger; " in second.text
    gates = {gate["name"]: gate for gate in second.outcome["gates"]}
    assert gates["max_latency_regression"]["outcome"] == "failed"
    assert gates["max_latency_regression"]["value"] > 2
    assert gates["max_latency_regression"]["threshold"] == 1.5
    assert aliases(client) == {"champion": "1", "challenger": "2"}
    tags = client.get_model_version("toy", "2").tags
    assert tags["onnxproof.gates"].startswith("max_latency_regression failed: ")
    run_id = client.get_model_version("toy", "2").run_id
    assert run_id is not None
    assert "comparison.json" in {artifact.path for artifact in client.list_artifacts(run_id)}

    again = onnxproof("export", write_spec(**slow))
    assert (again.code, again.outcome["model_uri"]) == (4, "models:/toy/2")  # asked again
    assert len(client.search_model_versions("name = 'toy'")) == 2

    slow["gates"]["max_latency_regression"] = 20
    third = onnxproof("export", write_spec(**slow))
    assert (third.code, third.outcome["status"]) == (0, "unchanged"), third.text
    assert aliases(client) == {"champion": "2", "challenger": "2"}
    assert client.get_model_version("toy", "2").tags["onnxproof.gates"] == "passed"


def test_the_same_file_again_needs_no_timing(
    onnxproof: Callable[..., Any], write_spec: Callable[..., Path], client: MlflowClient
) -> None:
    onnxproof("export", write_spec())
    again = onnxproof("export", write_spec(), "--force")
    assert again.code == 0
    gates = {gate["name"]: gate for gate in again.outcome["gates"]}
    assert gates["max_latency_regression"]["reason"] == "the champion is the same file"
    assert gates["max_size_growth"]["outcome"] == "passed"
    assert aliases(client) == {"champion": "2", "challenger": "2"}


def test_a_champion_that_is_not_ours_keeps_its_alias_until_a_person_decides(
    onnxproof: Callable[..., Any],
    write_spec: Callable[..., Path],
    client: MlflowClient,
    tmp_path: Path,
) -> None:
    client.create_registered_model("toy")
    (tmp_path / "foreign").mkdir()
    client.create_model_version("toy", source=(tmp_path / "foreign").as_uri(), run_id=None)
    client.set_registered_model_alias("toy", "champion", "1")
    refused = onnxproof("export", write_spec())
    assert refused.code == 4
    assert "the champion, models:/toy/1, cannot be run: " in refused.text
    assert aliases(client)["champion"] == "1"
    passed = onnxproof("export", write_spec(gates={"inconclusive": "pass"}))
    assert passed.code == 0
    assert aliases(client)["champion"] == "2"


def test_gates_of_the_version_itself_need_no_champion(
    onnxproof: Callable[..., Any], write_spec: Callable[..., Path], client: MlflowClient
) -> None:
    asked = {"min_speedup_vs_pytorch": 1000, "max_memory_bytes": 10**9, "max_p99_ms": 1000}
    refused = onnxproof("export", write_spec(gates=asked, benchmark={"seconds": 1}))
    assert refused.code == 4
    gates = {gate["name"]: gate for gate in refused.outcome["gates"]}
    assert gates["min_speedup_vs_pytorch"]["outcome"] == "failed"
    assert gates["max_memory_bytes"]["outcome"] == "passed"
    assert 0 < gates["max_memory_bytes"]["value"] < 10**9
    assert gates["max_p99_ms"]["outcome"] == "passed"
    assert aliases(client) == {"challenger": "1"}
