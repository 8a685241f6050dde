"""One benchmark at a time on a device, over all machines of a Prefect server.

The lock of the host (``onnxproof.isolation.machine_lock``) is a file, and containers of one host
have no file in common. So where a Prefect server is configured, a benchmark holds a slot of a
global concurrency limit too, which is named after host and device.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from onnxproof.errors import BenchmarkError, one_line
from onnxproof.progress import say
from onnxproof.runtime import device_of
from onnxproof.settings import read_settings
from onnxproof.spec import Provider

HOST: Final = "ONNXPROOF_HOST"
"""The host's name, where a container has one of its own (Kubernetes: ``spec.nodeName``)."""
LEASE_SECONDS: Final = 60
"""After which a process that was killed has no slot any more; the shortest that Prefect takes."""


def slot_names(providers: Iterable[Provider]) -> list[str]:
    """Names of the limits that a benchmark on these providers needs, always in one order.

    PyTorch is timed on the same devices, and every benchmark keeps a processor busy.
    """
    host = os.environ.get(HOST) or platform.node()
    devices = {"cpu"}
    for provider in providers:
        device = device_of(provider.name, provider.options)
        devices.add(device.kind if device.kind == "cpu" else f"{device.kind}{device.number}")
    return [f"onnxproof-{host}-{device}" for device in sorted(devices)]


@contextmanager
def device_slots(providers: Iterable[Provider]) -> Iterator[None]:
    """Hold a slot of every device; nothing is asked of a temporary server, which has no fleet.

    Raises:
        BenchmarkError: A limit cannot be made, or no slot be had.
    """
    if read_settings().prefect_api_url is None:
        yield
        return
    from prefect.concurrency.sync import concurrency

    names = slot_names(providers)
    with ExitStack() as stack:
        try:
            _make_limits(names)
            say("benchmark", f"a slot of {', '.join(names)}")
            stack.enter_context(
                concurrency(names, occupy=1, strict=True, lease_duration=LEASE_SECONDS)
            )
        except Exception as error:  # Prefect's own, or of what it talks through
            raise BenchmarkError(
                f"cannot get a slot of {', '.join(names)}, which keep benchmarks of one device "
                f"apart: {one_line(error, 300)}; look at Prefect's page Concurrency"
            ) from error
        yield


def _make_limits(names: Iterable[str]) -> None:
    """The limits that are missing, of one slot each; one that a person changed stays as it is."""
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for name in names:
            try:
                client.read_global_concurrency_limit_by_name(name)
            except ObjectNotFound:
                client.upsert_global_concurrency_limit_by_name(name, limit=1)
