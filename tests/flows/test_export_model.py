from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.flow_engine import run_flow
from prefect.utilities.callables import parameter_schema

from flows.export_model import Tasks, export_model
from onnxproof.errors import BadInput, ProofRefused
from onnxproof.pipeline.stages import Stages
from onnxproof.proof.versions import flow_version
from onnxproof.records import ExportOutcome
from tests.helpers.model_to_damage import line_of

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(prefect_api: str, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def artifacts_of(state: Any) -> dict[str, str]:
    """Key to text of what the run left on its page."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_of(state)]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=wanted)
    return {str(artifact.key): str(artifact.data) for artifact in found}


def run_of(state: Any) -> Any:
    return state.state_details.flow_run_id


def test_a_run_ends_as_completed_and_a_second_one_as_cached(
    write_spec: Callable[..., Path],
) -> None:
    spec = str(write_spec())
    first = export_model(spec, return_state=True)
    assert (first.type.value, first.name) == ("COMPLETED", "Completed")
    assert first.message == "Proven: toy version 1 (challenger, champion)"
    page = artifacts_of(first)
    assert page["report-toy"].startswith("# toy version 1: proven\n")
    assert "| parity | passed |" in page["report-toy"]
    assert '"against PyTorch"' in page["benchmark-toy"]

    second = export_model(spec, return_state=True)
    assert (second.type.value, second.name) == ("COMPLETED", "Cached")
    assert artifacts_of(second)["report-toy"].startswith("# toy: unchanged\n")

    forced = export_model(spec, force=True, return_state=True)
    assert forced.message == "Proven: toy version 2 (challenger, champion)"


def test_a_refusal_fails_the_run_and_tells_why_on_its_page(write_spec: Callable[..., Path]) -> None:
    spec = write_spec(
        source={"factory": "tests.helpers.models:repeat"},
        inputs={"x": "float32[batch, 4]", "steps": "int64[] in 1..5"},
    )
    state = export_model(str(spec), return_state=True)
    assert (state.type.value, state.name) == ("FAILED", "Failed")
    assert str(state.message).startswith("Refused: no candidate was proven")
    assert "input 'steps' is not in the graph" in str(state.message)
    report = artifacts_of(state)["report-toy"]
    assert report.startswith("# toy: refused, nothing is registered\n")
    assert "| contract | failed | input 'steps' is not in the graph" in report
    with pytest.raises(ProofRefused, match="no candidate was proven"):
        state.result()


def test_a_refusal_names_the_first_wrong_node_and_leaves_a_model_of_it(
    write_spec: Callable[..., Path], registry: Path
) -> None:
    spec = write_spec(
        source={"factory": "tests.helpers.model_to_damage:build"},
        inputs={"x": "float32[batch, seq, 8]"},
        dims={"batch": {"max": 4}, "seq": {"min": 3, "max": 9}},
        export={
            "strategies": ["trace"],
            "translations": {
                "aten::gelu": {"torchscript": "tests.helpers.model_to_damage:wrong_gelu"}
            },
        },
    )
    state = export_model(str(spec), return_state=True)
    assert state.name == "Failed"
    text = f"first wrong at node /model/layers.0/Relu (Relu) in layers.0, {line_of('gelu')}"
    assert f"; {text}" in str(state.message)
    report = artifacts_of(state)["report-toy"]
    assert f"## Where it goes wrong\n\n- trace: {text}. " in report
    assert "`divergence/trace/model.onnx` in the work folder holds these nodes" in report
    (saved,) = (registry / "work" / "toy").glob("*/divergence/trace/model.onnx")
    assert (saved.parent / "test_data_set_0" / "output_0.pb").is_file()


def test_bad_input_fails_the_run_and_says_that_it_was_bad(write_spec: Callable[..., Path]) -> None:
    state = export_model(str(write_spec(dims={})), return_state=True)
    assert (state.type.value, state.name) == ("FAILED", "Failed")
    assert str(state.message).startswith("Bad input: ")
    assert "dims batch stand in a shape and are not declared" in str(state.message)


def test_called_as_a_function_it_gives_the_outcome(write_spec: Callable[..., Path]) -> None:
    ended = export_model(str(write_spec()), overrides=("promote=never",))
    assert isinstance(ended, ExportOutcome)
    assert (ended.status, ended.model_uri) == ("proven", "models:/toy/1")
    assert ended.registration is not None
    assert ended.registration.aliases == ("challenger",)


def test_a_deployed_run_takes_catalog_entries_only() -> None:
    parameters = {"model": "tests.helpers.models:linear"}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(export_model.name)
        deployment_id = client.create_deployment(flow_id, "on-demand")
        run = client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
    with pytest.raises(
        BadInput, match=r"no model 'tests.helpers.models:linear' in the catalog; it has"
    ):
        run_flow(export_model, flow_run=run, parameters=parameters)


def test_the_run_has_the_version_of_the_flow(write_spec: Callable[..., Path]) -> None:
    state = export_model(str(write_spec(dims={})), return_state=True)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_of(state))
    assert (run.flow_version, run.name[:7]) == (flow_version(), "export-")


def test_the_order_of_the_tasks_is_that_of_a_run(write_spec: Callable[..., Path]) -> None:
    state = export_model(str(write_spec()), return_state=True)
    with get_client(sync_client=True) as client:
        flow_run = FlowRunFilter(id=FlowRunFilterId(any_=[run_of(state)]))
        found = client.read_task_runs(flow_run_filter=flow_run)
    names = [
        task_run.name for task_run in sorted(found, key=lambda task_run: str(task_run.start_time))
    ]
    assert names == [
        "load-toy",  # only the factory knows the weights, so the key waits for it
        "look-up-toy",
        "export-trace",
        "check-trace",
        "simplify-trace+onnxsim",
        "check-trace+onnxsim",
        "benchmark-toy",
        "conclude-toy",
        "register-toy",
        "compare-toy-v1",
        "promote-toy-v1",
    ]


def test_every_stage_of_a_run_is_a_task() -> None:
    from prefect import Task

    names = {name for stages in (Stages, *Stages.__bases__) for name in vars(stages)}
    stages = {name for name in names if not name.startswith("_")}
    assert stages == {name for name in vars(Tasks) if not name.startswith("_")}
    plain = [name for name in stages if not isinstance(getattr(Tasks, name), Task)]
    assert plain == ["conclude"]  # a task too, with the refusal's page around it


def test_the_form_has_plain_fields_with_a_description_each() -> None:
    schema = parameter_schema(export_model).model_dump()
    assert list(schema["properties"]) == ["model", "promotion", "search", "overrides", "force"]
    assert schema["required"] == ["model"]
    for field in schema["properties"].values():
        assert field["description"]
        assert "anyOf" not in field
    assert {name: definition["enum"] for name, definition in schema["definitions"].items()} == {
        "Promotion": ["from_spec", "auto", "never"],
        "Search": ["from_spec", "first", "fastest"],
    }
