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
    """Points of the shape grid, cheapest first; the corner of all largest sizes is not among them.

    Every dim at its smallest; the example; each dim at an odd size in between and at its largest
    with the others smallest, and at an even one where no other point has one; all dims in between
    together, at odd and at even sizes. With ``static``, the example alone.
    """
    example = example_sizes(dims)
    if static or not dims:
        return (example,)
    least = {name: dim.smallest for name, dim in dims.items()}
    odd = {name: _between(dim, 1) for name, dim in dims.items()}
    even = {name: _between(dim, 0) for name, dim in dims.items()}
    points = [least, example, odd, even]
    for name, dim in dims.items():
        points.append({**least, name: odd[name]})
        points.append({**least, name: dim.largest})
        if dim.smallest % 2 and dim.largest % 2:
            points.append({**least, name: even[name]})
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


def joint_sizes(dims: Mapping[str, Dim]) -> Iterator[Sizes]:
    """All dims large together: at their largest, then half of the way from the smallest, and so on.

    A condition such as ``h * w > 4000`` may hold at no other point of the grid.
    """
    share = 1.0
    while share > 1 / 64:
        yield {
            name: dim.near(dim.smallest + int((dim.largest - dim.smallest) * share))
            for name, dim in dims.items()
        }
        share /= 2


def every_size(dims: Mapping[str, Dim], most: int) -> list[Sizes]:
    """Each dim at every size that it may have, at most ``most`` of them, the others smallest."""
    least = {name: dim.smallest for name, dim in dims.items()}
    return [
        {**least, name: size}
        for name, dim in dims.items()
        for size in range(dim.smallest, dim.largest + 1, dim.multiple_of)[:most]
    ]


def _between(dim: Dim, parity: int) -> int:
    """A size at a third of the range, odd (1) or even (0) where such a one is allowed."""
    size = dim.near(dim.smallest + (dim.largest - dim.smallest) // 3)
    beside = (size, size + dim.multiple_of, size - dim.multiple_of)
    return next((near for near in beside if near % 2 == parity and dim.holds(near)), size)


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
