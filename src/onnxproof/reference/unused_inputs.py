"""Inputs that no output needs: an exporter may leave them out of its graph."""

from __future__ import annotations

from collections.abc import Callable

from onnxproof.reference.outputs import Outputs
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import Sizes, example_sizes
from onnxproof.spec import Spec


def unused_inputs(spec: Spec, run: Callable[[Feed, Sizes], Outputs]) -> set[str]:
    """Inputs that changed no output when they took two other values at the example's sizes."""
    inputs = spec.inputs
    if len(inputs) < 2:
        return set()
    sizes = example_sizes(spec.dims)
    feeds = [draw(inputs, sizes, spec.check.seed, sample) for sample in range(3)]
    first = run(feeds[0], sizes)

    def changes(name: str) -> bool:
        return any(
            not _same(first, run({**feeds[0], name: other[name]}, sizes)) for other in feeds[1:]
        )

    return {name for name in inputs if not changes(name)}


def _same(one: Outputs, other: Outputs) -> bool:
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and one[name].tobytes() == other[name].tobytes()
        for name in one
    )
