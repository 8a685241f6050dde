"""Which shapes a proof looks at: the ends of every declared range, and odd sizes in between."""

from __future__ import annotations

import math
from collections.abc import Mapping

from onnxproof.dims import Dim, Size, evaluate, names_in

Sizes = dict[str, int]
"""A size for each dim."""


def example_sizes(dims: Mapping[str, Dim]) -> Sizes:
    """Sizes to export at: distinct where ranges allow, and never 1 where more is allowed.

    torch.export specialises sizes 0 and 1, and takes two dims of one size for the same dim.
    """
    chosen: Sizes = {}
    for name, dim in dims.items():
        wanted = dim.example or next(
            (
                size
                for size in (dim.near(odd) for odd in range(3, 64, 2))
                if size > 1 and size not in chosen.values()
            ),
            dim.largest,
        )
        chosen[name] = wanted
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


def _between(dim: Dim) -> int:
    """An odd size inside the range where there is one, at a third of it: no power of two."""
    size = dim.near(dim.smallest + (dim.largest - dim.smallest) // 3)
    odd = size | 1
    return odd if dim.holds(odd) else size
