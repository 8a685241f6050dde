"""Which shapes a proof looks at: the ends of every declared range, and odd sizes in between."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Mapping

from onnxproof.records import GridPoint
from onnxproof.spec import Spec
from onnxproof.spec.dims import Dim, Size, evaluate, names_in

Sizes = dict[str, int]
"""A size for each dim."""


def example_sizes(dims: Mapping[str, Dim]) -> Sizes:
    """Sizes to export at: distinct where ranges allow, and never 1 where more is allowed.

    torch.export specializes sizes 0 and 1, also of a step where a dim is a multiple of one, and
    takes two dims of one size for the same dim.
    """
    taken = {dim.example for dim in dims.values()}
    chosen: Sizes = {}
    for name, dim in dims.items():
        allowed = range(dim.smallest, dim.largest + 1, dim.multiple_of)
        sizes = itertools.chain(map(dim.near, range(3, 64, 2)), allowed)
        free = [size for size in sizes if size > 1 and size not in taken] or [dim.largest]
        beyond_one_step = (size for size in free if size > dim.multiple_of)
        chosen[name] = dim.example or next(beyond_one_step, free[0])
        taken.add(chosen[name])
    return chosen


def label(sizes: Mapping[str, int]) -> str:
    """``batch=3 seq=24``, for people."""
    return " ".join(f"{name}={size}" for name, size in sizes.items()) or "the only shape"


def settled_shape(
    shape: tuple[Size, ...], dims: Mapping[str, Dim], *, static: bool = False
) -> tuple[Size, ...]:
    """``shape`` with a number wherever only one size can occur; what stays text is dynamic."""
    example = example_sizes(dims)
    return tuple(
        int(evaluate(size, example))
        if static or all(dims[name].fixed for name in names_in(size))
        else size
        for size in shape
    )


def shape_grid(dims: Mapping[str, Dim], *, static: bool = False) -> tuple[Sizes, ...]:
    """Points of the shape grid, cheapest first.

    Every dim at its smallest; the example; each dim at an odd size in between and at its largest
    with the others smallest; all dims in between together. With ``static``, the example alone.
    """
    example = example_sizes(dims)
    if static or not dims:
        return (example,)
    least = {name: dim.smallest for name, dim in dims.items()}
    middle = {name: _between(dim) for name, dim in dims.items()}
    points = [least, example, middle]
    for name, dim in dims.items():
        points.append({**least, name: middle[name]})
        points.append({**least, name: dim.largest})
    distinct = {tuple(point.items()): point for point in points}
    return tuple(sorted(distinct.values(), key=lambda point: math.prod(point.values())))


def affordable(points: Iterable[GridPoint], seconds: float) -> Iterator[GridPoint]:
    """Points, cheapest first, as long as work at the next one should end within ``seconds``.

    The work is what the caller does before it asks for the next; it is taken to grow with the
    product of the sizes. The first point is always among them.
    """
    start = time.monotonic()
    took_per_unit = 0.0
    for number, point in enumerate(points):
        units = max(1, math.prod(point.dims.values()))
        began = time.monotonic()
        if number and began - start + took_per_unit * units > seconds:
            return
        yield point
        took_per_unit = (time.monotonic() - began) / units


def _between(dim: Dim) -> int:
    """A size at a third of the range, odd where such a one is allowed: no power of two."""
    size = dim.near(dim.smallest + (dim.largest - dim.smallest) // 3)
    following = size + dim.multiple_of
    return following if size % 2 == 0 and following % 2 and dim.holds(following) else size


def dynamic_axes(spec: Spec) -> dict[str, dict[int, str]]:
    """Input name to axis to the dim, or arithmetic over dims, that stands there."""
    return {
        name: {
            axis: size
            for axis, size in enumerate(
                settled_shape(input_spec.shape, spec.dims, static=spec.export.static)
            )
            if isinstance(size, str)
        }
        for name, input_spec in spec.inputs.items()
    }
