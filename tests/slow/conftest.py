"""What tests with real servers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.helpers.mlflow_server import begin, end

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(registry: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An MLflow server on the test's registry, which everything here is pointed at."""
    monkeypatch.chdir(ROOT)
    port = free_port()
    monkeypatch.setenv("MLFLOW_PORT", str(port))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    begin()
    yield
    end()
