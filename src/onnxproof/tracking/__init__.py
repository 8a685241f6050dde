"""The one package that talks to MLflow: find, register, promote and fetch model versions.

The order is the guarantee: log, fetch back, replay, create the version with its tags, alias
``challenger``, alias ``champion``. Whatever ends the process in between, consumers stay where they
were, and what is left over says so and is finished or removed by the next run. Imports ``proof``,
``report`` and below, and MLflow.
"""

from __future__ import annotations

from onnxproof.tracking.aliases import find_champion, promote
from onnxproof.tracking.client import import_ahead
from onnxproof.tracking.measurements import log_measurement, read_measurement
from onnxproof.tracking.registration import register
from onnxproof.tracking.source_model import fetch_source, pin
from onnxproof.tracking.versions import describe, download, find_version

__all__ = [
    "describe",
    "download",
    "fetch_source",
    "find_champion",
    "find_version",
    "import_ahead",
    "log_measurement",
    "pin",
    "promote",
    "read_measurement",
    "register",
]
