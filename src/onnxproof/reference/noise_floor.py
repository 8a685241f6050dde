"""How far PyTorch's own answers lie from the exact ones: float32 (or float16) against float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.errors import LoadError, SpecError, one_line
from onnxproof.progress import say
from onnxproof.records import Noise, Reference, Work
from onnxproof.reference.distance import Distance, fills_in
from onnxproof.samples.grid import affordable

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.reference.edge_samples import Asked
    from onnxproof.reference.outputs import Outputs
    from onnxproof.source.module import SourceModule

MAX_WEIGHTS_BYTES: Final = 2**30
"""In float64 they take twice as much, or four times."""
LEAST_SECONDS: Final = 0.5
SHARE_OF_REFERENCE: Final = 0.25
"""What float64 may take of the seconds that the reference took, if that is more."""


class Floor(NamedTuple):
    """The noise of each float output, or why it is not known."""

    noise: tuple[Noise, ...] = ()
    missing: str = ""


def measure_noise(
    source: SourceModule, work: Work, reference: Reference, weights_bytes: int, seconds: float
) -> Floor:
    """Run one saved sample of each point again in float64, cheapest first.

    The module is converted in place and is of no further use: two of them at once would take
    three times the weights. Of a forward that names a dtype itself the noise stays unknown.

    Args:
        source: The module that gave the reference.
        work: The folder of the reference.
        reference: What it gave.
        weights_bytes: Of the state; above ``MAX_WEIGHTS_BYTES`` nothing is measured.
        seconds: What the reference took.
    """
    from onnxproof.samples.sample_files import read_set

    floats = [output.name for output in reference.outputs if output.dtype.startswith("float")]
    if not floats or all(output.dtype == "float64" for output in reference.outputs):
        return Floor(missing="no output of float32 or float16")
    if weights_bytes > MAX_WEIGHTS_BYTES:
        return Floor(missing=f"the weights are larger than {MAX_WEIGHTS_BYTES >> 20} MiB")
    allowed = max(LEAST_SECONDS, seconds * SHARE_OF_REFERENCE)
    points = [point for point in reference.points if point.sets]
    fills = fills_in(work, reference, floats)
    distances = {name: Distance(name, fills[name]) for name in floats}
    try:
        with _in_float64(source):
            for number, point in enumerate(affordable(points, allowed)):
                say("load", "PyTorch in float64", number, len(points))
                feed, saved = read_set(Path(work.path(reference.folder, point.sets[0])))
                exact = _exact(source, feed, point.dims)
                for name in floats:
                    if exact[name].dtype == "float64":  # else forward chose its dtype itself
                        distances[name].add(saved[name], exact[name])
    except (LoadError, SpecError, RuntimeError, TypeError, KeyError, ValueError) as error:
        return Floor(missing=f"the module does not run in float64: {one_line(error, 200)}")
    noise = tuple(
        Noise(name=name, max_abs=found.max_abs, sets=found.sets, classes=found.classes())
        for name, found in distances.items()
        if found.sets
    )
    return Floor(noise, "" if noise else "forward computes in a dtype of its own")


def answers_in_float64(
    source: SourceModule, asked: list[Asked], sizes: dict[str, int], weights_bytes: int
) -> list[Outputs | None]:
    """What the module, converted in place, answers to samples; None where it does not run so."""
    if weights_bytes > MAX_WEIGHTS_BYTES:
        return [None] * len(asked)
    found: list[Outputs | None] = []
    with _in_float64(source):
        for sample in asked:
            try:
                answer = _exact(source, sample.edge.feed, sizes)
                found.append({name: array.copy() for name, array in answer.items()})
            except (LoadError, SpecError, RuntimeError, TypeError, ValueError):
                found.append(None)
    return found


@contextmanager
def _in_float64(source: SourceModule) -> Iterator[None]:
    """Parameters, buffers and what forward makes without naming a dtype."""
    import torch

    usual = torch.get_default_dtype()
    source.module.double()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


def _exact(
    source: SourceModule, feed: dict[str, np.ndarray], sizes: dict[str, int]
) -> dict[str, np.ndarray]:
    import numpy as np

    from onnxproof.reference.outputs import run

    def widened(array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f":
            return array
        wide = array.astype(np.float64)
        # The lowest number of a dtype stands for minus infinity in a mask.
        wide[array == np.finfo(array.dtype).min] = np.finfo(np.float64).min
        return wide

    return run(source, {name: widened(array) for name, array in feed.items()}, sizes)
