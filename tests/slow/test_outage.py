"""A real MLflow server that goes away at the worst moment, and comes back."""

from __future__ import annotations

import os

import pytest
from mlflow import MlflowClient

from onnxproof import export_model
from onnxproof.errors import ServerUnreachable
from onnxproof.progress import Step, listen
from onnxproof.settings import fault_of
from onnxproof.spec import parse_spec
from onnxproof.tracking.unfinished_runs import STATE_TAG
from tests.conftest import TOY
from tests.helpers.mlflow_server import begin, end

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "moment", ["register in MLflow", "replay"], ids=["before", "after the upload"]
)
def test_a_server_that_goes_away_at_the_end_costs_a_message_and_no_second_proof(
    moment: str,
) -> None:
    stages: list[str] = []

    def listener(step: Step) -> None:
        stages.append(step.stage)
        if step.text.startswith(moment) and fault_of(os.environ["MLFLOW_TRACKING_URI"]) == "":
            end()

    with listen(listener), pytest.raises(ServerUnreachable) as caught:
        export_model(parse_spec(TOY))
    assert "was asked to register toy (its proof stays in " in str(caught.value)
    assert "run the same again" in str(caught.value)
    assert caught.value.exit_code == 5

    begin()
    client = MlflowClient()
    assert client.search_model_versions("name = 'toy'") == []
    stages.clear()
    with listen(lambda step: stages.append(step.stage)):
        outcome = export_model(parse_spec(TOY))
    assert (outcome.status, outcome.model_uri) == ("proven", "models:/toy/1")
    assert "export" not in stages
    assert outcome.registration is not None
    assert outcome.registration.aliases == ("challenger", "champion")
    assert outcome.run_url is not None
    assert outcome.run_url.startswith(os.environ["MLFLOW_TRACKING_URI"])
    states = sorted(run.data.tags[STATE_TAG] for run in client.search_runs(["1"]))
    assert states == (["registered"] if moment != "replay" else ["abandoned", "registered"])
