"""Benchmarks of one device keep apart in a whole fleet, by limits of a real Prefect server."""

from __future__ import annotations

import threading
import time
from uuid import uuid4

import pytest
from prefect import get_client

from onnxproof.errors import BenchmarkError
from onnxproof.spec import Provider
from tasks import device_slots as slots_module
from tasks.device_slots import device_slots, slot_names

pytestmark = pytest.mark.prefect
CPU = (Provider(),)


@pytest.fixture
def host(prefect_api: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"node-{uuid4().hex[:8]}"
    monkeypatch.setenv("ONNXPROOF_HOST", name)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    return name


def limit_of(name: str) -> int:
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(name).limit


def test_a_slot_is_named_after_host_and_device(host: str) -> None:
    cuda = Provider(name="CUDAExecutionProvider", options={"device_id": "1"})
    assert slot_names(CPU) == [f"onnxproof-{host}-cpu"]
    assert slot_names((cuda, *CPU)) == [f"onnxproof-{host}-cpu", f"onnxproof-{host}-cuda1"]


def test_a_limit_that_is_missing_is_made_and_one_that_is_there_stays(host: str) -> None:
    (name,) = slot_names(CPU)
    with device_slots(CPU):
        assert limit_of(name) == 1
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(name, limit=2)
    with device_slots(CPU):
        assert limit_of(name) == 2


def test_a_second_benchmark_waits_for_the_first(host: str) -> None:
    order: list[str] = []

    def second() -> None:
        with device_slots(CPU):
            order.append("second begins")

    with device_slots(CPU):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(2)
        order.append("first ends")
    other.join(timeout=60)
    assert order == ["first ends", "second begins"]


def test_a_limit_that_cannot_be_made_is_an_error_and_no_free_pass(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots_module, "_make_limits", lambda _: None)
    with (
        pytest.raises(BenchmarkError, match=rf"cannot get a slot of onnxproof-{host}-cpu, which"),
        device_slots(CPU),
    ):
        raise AssertionError("it ran without a slot")


def test_a_temporary_server_is_asked_nothing(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setattr(
        slots_module, "_make_limits", lambda names: pytest.fail(f"asked for {names}")
    )
    with device_slots(CPU):
        pass
