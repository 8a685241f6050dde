"""Measurements of a version by other machines: files and metrics of the run that registered it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from onnxproof.errors import RegisterError
from onnxproof.progress import say
from onnxproof.records import Registration, VersionMeasurement, Work
from onnxproof.report.providers import render_measurement
from onnxproof.settings import read_settings, shown_url
from onnxproof.tracking.client import talking
from onnxproof.tracking.run_metrics import measurement_metrics
from onnxproof.tracking.versions import fetch

FOLDER: Final = "measured"
FILE: Final = "measurement.json"
FILES: Final = ("benchmark.parquet", "latency.png")


def log_measurement(
    registration: Registration, measurement: VersionMeasurement, work: Work, label: str
) -> str:
    """Keep what was found beside the run of the version: metrics, and files below ``measured``.

    Args:
        registration: Of the version.
        measurement: Is written to ``measurement.json``, and for people to ``measurement.md``.
        work: May hold the samples and the plot.
        label: Of this measurement, a folder's name.

    Returns:
        The folder below the artifacts of the run.

    Raises:
        RegisterError: The version has no run.
        ServerUnreachable: MLflow does not answer.
    """
    from mlflow.entities import Metric

    if not registration.run_id:
        raise RegisterError(
            f"{registration.model_uri} has no run in MLflow to log to; measure a version that "
            "`onnxproof export` has registered"
        )
    path_in_run, now = f"{FOLDER}/{label}", int(time.time() * 1000)
    texts = {
        FILE: measurement.model_dump_json(indent=2) + "\n",
        "measurement.md": render_measurement(registration, measurement, Path(work.folder)),
    }
    metrics = [
        Metric(name, value, now, 0) for name, value in measurement_metrics(measurement).items()
    ]
    say("measure", f"log to MLflow at {shown_url(read_settings().tracking_uri)}")
    with talking(f"log a measurement of {registration.model_uri}") as client:
        for name in FILES:
            if (path := Path(work.path(name))).is_file():
                client.log_artifact(registration.run_id, str(path), path_in_run)
        for name, text in texts.items():
            client.log_text(registration.run_id, text, f"{path_in_run}/{name}")
        client.log_batch(registration.run_id, metrics=metrics)
    return path_in_run


def read_measurement(registration: Registration, label: str, folder: Path) -> VersionMeasurement:
    """What was logged under ``label``, fetched below ``folder``.

    Raises:
        RegisterError: There is none, or this onnxproof does not read it.
        ServerUnreachable: MLflow does not answer.
    """
    path_in_run = f"{FOLDER}/{label}/{FILE}"
    with talking(f"fetch {path_in_run} of {registration.model_uri}") as client:
        run = client.get_run(registration.run_id)
        path = fetch(f"{run.info.artifact_uri}/{path_in_run}", folder)
    try:
        return VersionMeasurement.model_validate_json(path.read_bytes())
    except ValueError:
        raise RegisterError(
            f"the {path_in_run} that MLflow has of {registration.model_uri} is of another version "
            "of onnxproof; let the machine that measures have the same"
        ) from None
