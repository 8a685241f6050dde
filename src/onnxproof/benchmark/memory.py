"""What a model takes while it is opened and run: resident memory, at its peak."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from onnxproof.grid import example_sizes
from onnxproof.records import Work
from onnxproof.spec import Spec


class MemoryRequest(NamedTuple):
    """What the child gets."""

    spec: Spec
    work: Work
    model: Path


def peak_bytes(request: MemoryRequest) -> int:
    """In a child of its own: the peak above what the process had before it opened the model.

    At the dearest point of ``benchmark.at``, on the first provider of the spec.
    """
    from onnxproof.inputs import draw
    from onnxproof.libraries import find_libraries, find_plugin
    from onnxproof.runtime import available_providers, open_session

    spec, work, model = request
    points = [{**example_sizes(spec.dims), **point} for point in spec.benchmark.at]
    feeds = [draw(spec.inputs, sizes, spec.check.seed, 0) for sizes in points]
    feed = max(feeds, key=lambda each: sum(array.nbytes for array in each.values()))
    provider = spec.benchmark.providers[0]
    available_providers()  # ONNX Runtime's own memory is not the model's
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins here
    before = _status("VmRSS")
    session = open_session(
        model,
        provider.name,
        options=provider.options,
        plugin=find_plugin(provider, work),
        threads=spec.benchmark.threads,
        libraries=find_libraries(spec, work),
    )
    session.run(feed)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 1024
