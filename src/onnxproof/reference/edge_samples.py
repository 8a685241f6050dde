"""PyTorch's answers to edge samples, and how far each of them is PyTorch's own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.check.budget import UNKNOWN, budget_by_noise, budget_by_share
from onnxproof.errors import OnnxproofError
from onnxproof.progress import say
from onnxproof.records import EdgeOutput, EdgeSample, GridPoint, Reference
from onnxproof.reference.constants import constants_in
from onnxproof.reference.distance import Distance
from onnxproof.reference.operations import PER_SECOND, count
from onnxproof.reference.outputs import Outputs, run
from onnxproof.samples.edges import MOST_SAMPLES, EdgeFeed, edge_feeds
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import Sizes
from onnxproof.samples.magnitude import fills_of, is_fill

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.source.module import SourceModule

LEAST_ELEMENTS: Final = 64
"""Of an input, for its sample to hold enough of the values that are to be tried."""
ALWAYS_AFFORDED: Final = PER_SECOND // 4
"""Operations of all samples together that are cheap, whatever the grid takes."""
UNDECIDED_SHARE: Final = 0.01
"""Of the output's magnitude, fills left out, that an element differs by in float64: it lies at a
step of what forward computes."""
MOST_UNDECIDED: Final = 1024
"""Elements of one output; a sample with more of them says nothing."""
NUDGES: Final = 4
"""Calls with slightly other values of a sample whose values are alike, to see what they order."""


class Asked(NamedTuple):
    """A sample, and what PyTorch said to it."""

    edge: EdgeFeed
    outputs: Outputs
    nudged: tuple[Outputs, ...]  # to the same values, each off by about one unit in the last place


class Edges(NamedTuple):
    """All samples of one run, at one point; none where nothing was asked."""

    sizes: Sizes
    asked: list[Asked]


def ask_edges(source: SourceModule, reference: Reference) -> Edges:
    """PyTorch's answers to what the spec declares and a seeded draw hardly ever has."""
    point = None if source.spec.export.static else edge_point(reference.points, source)
    if point is None:
        point = next((point for point in reference.points if point.sets), None)
    if point is None:
        return Edges({}, [])
    inputs, seed = source.spec.inputs, source.spec.check.seed
    usual = draw(inputs, point.dims, seed, 0)
    like = run(source, usual, point.dims)
    kinds = {name: array.copy() for name, array in like.items()}
    constants = constants_in(source, usual)
    feeds = list(edge_feeds(inputs, point.dims, seed, constants.numbers))
    return Edges(point.dims, ask(source, point.dims, feeds, kinds, orders=constants.orders))


def edge_point(points: Sequence[GridPoint], source: SourceModule) -> GridPoint | None:
    """The cheapest point at which every input has room for the values, else the roomiest.

    Where the samples would be more work there than the whole grid is, the largest point at which
    they are not. None where the grid has no point.
    """
    seeded = [point for point in points if point.sets and point.values == "seeded"]
    if not seeded:
        return None

    def room(point: GridPoint) -> int:
        feed = draw(source.spec.inputs, point.dims, 0, 0)
        return min((array.size for array in feed.values() if array.ndim), default=0)

    by_work = sorted(seeded, key=lambda point: math.prod(point.dims.values()))
    roomy = next((point for point in by_work if room(point) >= LEAST_ELEMENTS), None)
    wanted = roomy or max(by_work, key=room)
    work = count(source, draw(source.spec.inputs, wanted.dims, 0, 0))
    if work is not None and work.operations * MOST_SAMPLES <= ALWAYS_AFFORDED:
        return wanted
    total = sum(math.prod(point.dims.values()) * len(point.sets) for point in seeded)
    affordable = [
        point for point in by_work if math.prod(point.dims.values()) * MOST_SAMPLES <= total
    ]
    if not affordable or wanted in affordable:
        return wanted if affordable else by_work[0]
    return affordable[-1]


def ask(
    source: SourceModule,
    sizes: Sizes,
    edges: Sequence[EdgeFeed],
    like: Outputs,
    *,
    orders: bool,
) -> list[Asked]:
    """PyTorch's answers; a sample at which it raises, or is not finite, says nothing.

    Args:
        source: The module.
        sizes: Those of the feeds.
        edges: What to ask.
        like: An answer of the grid; another dtype or rank is no answer either.
        orders: Whether forward orders values, so that zeros tie as well.
    """
    found = []
    for number, edge in enumerate(edges):
        say("load", f"PyTorch at {', '.join(edge.inputs)}: {edge.values}", number, len(edges))
        outputs = _answer(source, edge.feed, sizes, like)
        if outputs is None:
            continue
        nudges = range(NUDGES if edge.alike else 0)
        moved = (nudge(source, edge.feed, seed, zeros=orders) for seed in nudges)
        nudged = [_answer(source, feed, sizes, like) for feed in moved]
        found.append(Asked(edge, outputs, tuple(answer for answer in nudged if answer is not None)))
    return found


def _answer(source: SourceModule, feed: Feed, sizes: Sizes, like: Outputs) -> Outputs | None:
    import numpy as np

    try:
        outputs = run(source, feed, sizes)
    except OnnxproofError:
        return None
    for name, array in outputs.items():
        usual = like.get(name)
        if usual is None or (array.dtype, array.ndim) != (usual.dtype, usual.ndim):
            return None
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return None
    return {name: array.copy() for name, array in outputs.items()}


def nudge(source: SourceModule, feed: Feed, seed: int, *, zeros: bool) -> Feed:
    """``feed`` with each float up to about one unit in the last place off.

    Zeros only with ``zeros``: elsewhere a function that steps at zero is to be seen there.
    """
    import numpy as np

    rng = np.random.default_rng([seed, len(feed)])

    def moved(name: str, array: np.ndarray) -> np.ndarray:
        if array.dtype.kind != "f" or source.spec.inputs[name].values not in {"normal", "uniform"}:
            return array
        eps = float(np.finfo(array.dtype).eps)
        step = rng.uniform(-1, 1, array.shape) * eps
        at_zero = step if zeros else array
        return np.where(array == 0, at_zero, array * (1 + step)).astype(array.dtype)

    return {name: moved(name, array) for name, array in feed.items()}


def judged(asked: Asked, exact: Outputs | None, folder: str) -> EdgeSample | None:
    """What a graph may be away at this sample alone; None where the sample says nothing.

    Args:
        asked: The sample.
        exact: Its answer in float64; None where forward does not run so.
        folder: Where it is saved.
    """
    outputs = []
    for name, saved in asked.outputs.items():
        wide = None if exact is None else exact.get(name)
        if wide is not None and wide.shape != saved.shape:
            return None
        nudged = [answer[name] for answer in asked.nudged if answer[name].shape == saved.shape]
        if len(nudged) < len(asked.nudged):
            return None
        found = _output(name, saved, wide, nudged)
        floats = saved.dtype.kind == "f"
        if len(found.undecided) > min(MOST_UNDECIDED, saved.size // 2 if floats else saved.size):
            return None
        outputs.append(found)
    edge = asked.edge
    return EdgeSample(folder=folder, inputs=edge.inputs, values=edge.values, outputs=tuple(outputs))


def _output(
    name: str, saved: np.ndarray, exact: np.ndarray | None, nudged: Sequence[np.ndarray]
) -> EdgeOutput:
    import numpy as np

    others = [*nudged, *([exact] if exact is not None else [])]
    if saved.dtype.kind != "f":
        moved = np.zeros(saved.shape, np.bool_)
        for other in others:
            moved |= saved != other
        if moved.any() and nudged and saved.ndim:
            moved |= moved.any(axis=-1, keepdims=True)  # an order of alike values moves as a whole
        return EdgeOutput(name=name, undecided=_flat(moved))
    known = exact is not None and exact.dtype == np.float64
    steps = _steps(saved, exact, nudged) if known else np.zeros(saved.shape, np.bool_)
    if not known:
        budget = budget_by_share(saved, UNKNOWN[str(saved.dtype)])
    else:
        distance = Distance(name, fills_of([saved]))
        for other in others:
            distance.add(saved, np.where(steps, saved, other))
        budget = budget_by_noise(saved, distance.classes())
    return EdgeOutput(name=name, classes=budget.classes, undecided=_flat(steps))


def _steps(saved: np.ndarray, exact: Any, nudged: Sequence[np.ndarray]) -> np.ndarray:
    """Elements whose answer in float64, or next to the value, is another one altogether.

    Where most elements are, the module is as inexact as that there: that is noise.
    """
    import numpy as np

    numbers = saved[~is_fill(saved, fills_of([saved]))].astype(np.float64)
    size = UNDECIDED_SHARE * (float(np.sqrt(np.mean(np.square(numbers)))) if numbers.size else 0.0)
    size = size or UNDECIDED_SHARE
    away = np.zeros(saved.shape, np.bool_)
    for other in (exact, *nudged):
        away |= ~(np.abs(saved.astype(np.float64) - other) <= size)
    return away if away.sum() <= saved.size // 2 else np.zeros(saved.shape, np.bool_)


def _flat(where: np.ndarray) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(index) for index in np.flatnonzero(where))
