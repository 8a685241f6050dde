"""What a model takes while it is opened and run: resident memory at its peak, and the device's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.benchmark.repetitions import Workload
from onnxproof.errors import BenchmarkError
from onnxproof.isolation.child import run_in_child
from onnxproof.records import BenchmarkResult, Startup, Work
from onnxproof.spec import Limits, Provider
from onnxproof.usercode.libraries import noted_libraries

if TYPE_CHECKING:
    from onnxproof.runtime import Device


class Stored(NamedTuple):
    """An ONNX file, and its bytes, with those of its weights."""

    path: Path
    size_bytes: int


class MemoryRequest(NamedTuple):
    """What the child gets."""

    workload: Workload
    work: Work
    model: Path
    provider: Provider
    libraries: tuple[str, ...] = ()


class Memory(NamedTuple):
    """Bytes above what the process, and the device, had before."""

    peak_bytes: int
    device_bytes: int | None  # None for the CPU, and where PyTorch does not know the device


def memory_of(
    result: BenchmarkResult, workload: Workload, work: Work, models: Mapping[str, Stored]
) -> BenchmarkResult:
    """The result, with size and memory of every model on every provider that started."""
    started = {latency.provider for latency in result.latencies}
    libraries = tuple(noted_libraries(work.folder))
    found: dict[tuple[str, str], Memory] = {}
    for provider in workload.benchmark.providers:
        for label, stored in models.items() if provider.name in started else ():
            request = MemoryRequest(workload, work, stored.path, provider, libraries)
            found[label, provider.name] = measure_memory(request, workload.limits, label)
    startups = tuple(_weighed(startup, found, models) for startup in result.startups)
    return result.model_copy(update={"startups": startups})


def measure_memory(request: MemoryRequest, limits: Limits, label: str) -> Memory:
    """In a child of its own, so that nothing another model left is used again.

    Raises:
        BenchmarkError: The child failed.
    """
    return run_in_child(
        memory_in_child,
        request,
        failed=BenchmarkError,
        limits=limits,
        log=Path(request.work.path("logs", "memory.log")),
        doing=f"memory of {label}",
    )


def memory_in_child(request: MemoryRequest) -> Memory:
    """Open the model, and run it at the point with the largest inputs."""
    from onnxproof.runtime import available_providers, device_of, open_session
    from onnxproof.usercode.libraries import find_plugin

    workload, work, model, provider, libraries = request
    feeds = [workload.feed(sizes) for sizes in workload.points]
    feed = max(feeds, key=lambda arrays: sum(array.nbytes for array in arrays.values()))
    available_providers()  # ONNX Runtime's own memory is not the model's
    plugin = find_plugin(provider, work)
    free_before = free_on(device_of(provider.name, provider.options))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins here
    before = _status("VmRSS")
    session = open_session(
        model,
        provider.name,
        options=provider.options,
        plugin=plugin,
        threads=workload.benchmark.threads,
        libraries=libraries,
    )
    session.run(feed)
    peak_bytes, free = _status("VmHWM") - before, free_on(session.device)
    return Memory(peak_bytes, None if free_before is None or free is None else free_before - free)


def free_on(device: Device) -> int | None:
    """Bytes that the device has left, for everybody; None for the CPU, and where PyTorch has none.

    Asking makes PyTorch's own context there, so the first answer is after it.
    """
    if device.kind != "cuda":
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info(device.number)
    return int(free)


def _weighed(
    startup: Startup, found: Mapping[tuple[str, str], Memory], models: Mapping[str, Stored]
) -> Startup:
    provider = startup.where.partition(",")[0]
    memory = found.get((startup.runner, provider))
    if memory is None:
        return startup
    size_bytes = models[startup.runner].size_bytes
    return startup.model_copy(update={"size_bytes": size_bytes, **memory._asdict()})


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024
