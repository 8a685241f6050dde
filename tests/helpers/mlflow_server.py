"""A real MLflow server, which tests start and stop as they like."""

from __future__ import annotations

import os
import time

from onnxproof.servers.server import servers_of, start, stop
from onnxproof.settings import fault_of, read_settings


def begin() -> None:
    start(servers_of(read_settings())[1])
    deadline = time.monotonic() + 120
    while fault_of(os.environ["MLFLOW_TRACKING_URI"]):
        assert time.monotonic() < deadline
        time.sleep(0.3)


def end() -> None:
    stop(servers_of(read_settings())[1])
