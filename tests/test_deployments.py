"""prefect.yaml holds only what Prefect reads, and everything it names is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.importtools import import_object
from prefect.utilities.schema_tools.validation import validate
from pydantic import BaseModel, ValidationError

from flows.export_model import export_model
from flows.measure_version import measure_version
from onnxproof.pipeline.resolve_spec import catalog_names, resolve_spec
from onnxproof.servers.deployments import POOL_TEMPLATE, POOLS, needed_variables

ROOT = Path(__file__).parents[1]
CATALOG = ROOT / "deployments" / "catalog"
TEXT = (ROOT / "prefect.yaml").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = yaml.safe_load(TEXT)
FLOWS: dict[str, Flow[..., Any]] = {
    "flows.export_model.export_model": export_model,
    "flows.measure_version.measure_version": measure_version,
}
SET_BY_DEPLOY = {"MLFLOW_TRACKING_URI", "ONNXPROOF_ROOT", "ONNXPROOF_VERSION"}


def each_deployment() -> list[Any]:
    return [
        pytest.param(deployment, id=deployment["name"]) for deployment in PROJECT["deployments"]
    ]


def each_export() -> list[Any]:
    return [param for param in each_deployment() if "export_model" in param.values[0]["entrypoint"]]


def each_schedule() -> list[Any]:
    return [
        pytest.param(schedule, id=f"{deployment['name']}-{schedule.get('slug')}")
        for deployment in PROJECT["deployments"]
        for schedule in deployment.get("schedules", ())
    ]


def unread(data: dict[str, Any], model: type[BaseModel]) -> set[str]:
    """Keys that Prefect's own model of this part would drop."""
    names = model.model_fields
    return set(data) - {field.alias or name for name, field in names.items()}


def words(data: Any) -> Iterator[str]:
    """Every string in a piece of YAML or JSON."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from (*words(key), *words(value))
    elif isinstance(data, list):
        for value in data:
            yield from words(value)


@pytest.fixture(scope="module")
def pool() -> dict[str, Any]:
    template: dict[str, Any] = json.loads((ROOT / POOL_TEMPLATE).read_text(encoding="utf-8"))
    return template


def test_prefect_reads_every_key_of_the_project() -> None:
    assert unread(PROJECT, PrefectYamlModel) == {"definitions"}  # it holds the anchors


@pytest.mark.parametrize("deployment", each_deployment())
def test_prefect_reads_every_key_of_a_deployment(deployment: dict[str, Any]) -> None:
    DeploymentConfig.model_validate(deployment)
    assert unread(deployment, DeploymentConfig) == set()
    assert unread(deployment["work_pool"], WorkPoolConfig) == set()
    assert unread(deployment["concurrency_limit"], ConcurrencyLimitSpec) == set()


def test_a_misspelt_key_is_found() -> None:
    deployment = PROJECT["deployments"][0] | {"conurrency_limit": 4}
    DeploymentConfig.model_validate(deployment)  # says nothing
    assert unread(deployment, DeploymentConfig) == {"conurrency_limit"}


def test_deployments_have_names_of_their_own() -> None:
    names = [deployment["name"] for deployment in PROJECT["deployments"]]
    assert len(set(names)) == len(names)
    assert {"on-demand", "nightly", "gpu"} <= set(names)


@pytest.mark.parametrize("deployment", each_deployment())
def test_the_entrypoint_is_the_flow_as_the_package_imports_it(deployment: dict[str, Any]) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    # A path would give a second flow, of a module that only Prefect can import.
    assert flow is FLOWS[deployment["entrypoint"]]


@pytest.mark.parametrize("deployment", each_deployment())
def test_parameters_fit_the_flow(deployment: dict[str, Any]) -> None:
    flow = FLOWS[deployment["entrypoint"]]
    schema = parameter_schema(flow).model_dump_for_openapi()
    asked = {"model": "models:/digits-cnn/1"} if flow is measure_version else {}
    parameters = {**asked, **deployment["parameters"]}
    assert deployment["enforce_parameter_schema"] is True
    assert set(parameters) <= set(schema["properties"])  # the server takes unknown ones
    assert validate(parameters, schema) == []
    flow.validate_parameters(parameters)


@pytest.mark.parametrize("deployment", each_export())
def test_the_model_is_in_the_catalog(deployment: dict[str, Any]) -> None:
    assert deployment["parameters"]["model"] in catalog_names(CATALOG)


@pytest.mark.parametrize("deployment", each_export())
def test_the_model_may_be_loaded(deployment: dict[str, Any]) -> None:
    spec, _ = resolve_spec(deployment["parameters"]["model"], (), CATALOG, only_catalog=True)
    allowed = deployment["work_pool"]["job_variables"]["env"]["ONNXPROOF_ALLOW"].split(",")
    assert spec.source.target.partition(":")[0].partition(".")[0] in allowed


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.name)
def test_the_form_explains_every_parameter(flow: Flow[..., Any]) -> None:
    properties = parameter_schema(flow).properties
    assert [
        name for name, parameter in properties.items() if not parameter.get("description")
    ] == []


def test_the_form_names_the_models_there_are() -> None:
    text = parameter_schema(export_model).properties["model"]["description"]
    assert all(name in text for name in catalog_names(CATALOG))


@pytest.mark.parametrize("schedule", each_schedule())
def test_a_schedule_has_a_slug_and_a_time_zone(schedule: dict[str, Any]) -> None:
    RawScheduleConfig.model_validate(schedule)
    # Without a slug each `make deploy` could add one more.
    assert re.fullmatch(r"[a-z0-9-]+", schedule["slug"])
    CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])


@pytest.mark.parametrize("wrong", [{"cron": "61 2 * * *"}, {"timezone": "Etc/Nowhere"}])
def test_a_wrong_schedule_would_be_found(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CronSchedule(**({"cron": "30 2 * * *", "timezone": "Etc/UTC"} | wrong))


def test_something_runs_at_night() -> None:
    assert len(each_schedule()) == 1


@pytest.mark.parametrize("deployment", each_deployment())
def test_a_second_run_waits_or_is_cancelled(deployment: dict[str, Any]) -> None:
    limit = deployment["concurrency_limit"]
    assert limit["limit"] == 1
    ConcurrencyLimitStrategy(limit["collision_strategy"])


@pytest.mark.parametrize("deployment", each_deployment())
def test_the_work_pool_takes_the_job_variables(
    deployment: dict[str, Any], pool: dict[str, Any]
) -> None:
    assert deployment["work_pool"]["name"] in POOLS
    assert set(deployment["work_pool"]["job_variables"]) <= set(pool["variables"]["properties"])
    assert "env" in pool["job_configuration"]


def test_the_pull_step_exists_and_takes_its_folder_from_the_environment() -> None:
    (step,) = PROJECT["pull"]
    ((name, inputs),) = step.items()
    assert callable(import_object(name))
    assert inputs == {"directory": "{{ $ONNXPROOF_ROOT }}"}


def test_every_variable_is_one_that_deploy_sets() -> None:
    assert set(needed_variables(TEXT)) == SET_BY_DEPLOY


def test_no_path_of_one_machine_is_deployed(pool: dict[str, Any]) -> None:
    absolute = re.compile(r"^(/|~|[A-Za-z]:\\|file:)")
    assert [word for word in (*words(PROJECT), *words(pool)) if absolute.match(word)] == []
