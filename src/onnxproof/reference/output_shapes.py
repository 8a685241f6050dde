"""Outputs with their sizes in terms of dims, as the samples showed them."""

from __future__ import annotations

from onnxproof.records import TensorRecord
from onnxproof.reference.outputs import Outputs
from onnxproof.samples.grid import Sizes
from onnxproof.spec import Spec
from onnxproof.spec.dims import evaluate, names_in


def describe_outputs(spec: Spec, seen: list[tuple[Sizes, Outputs]]) -> tuple[TensorRecord, ...]:
    """Outputs with their sizes in terms of dims, as the grid showed them.

    A size that stayed the same while some dim did too may depend on that dim, so it has no name.
    """
    varied = all(
        spec.export.static or dim.fixed or len({sizes[name] for sizes, _ in seen}) > 1
        for name, dim in spec.dims.items()
    )
    expressions = list(spec.dims)
    for input_spec in spec.inputs.values():
        expressions += [size for size in input_spec.shape if isinstance(size, str)]
    records = []
    for name, array in seen[0][1].items():
        shape = tuple(
            _size_of(
                [(sizes, outputs[name].shape[axis]) for sizes, outputs in seen],
                expressions,
                varied=varied,
            )
            for axis in range(array.ndim)
        )
        records.append(TensorRecord(name=name, dtype=str(array.dtype), shape=shape))
    return tuple(records)


def _size_of(
    observed: list[tuple[Sizes, int]], expressions: list[str], *, varied: bool
) -> int | str:
    sizes_seen = {size for _, size in observed}
    if len(sizes_seen) == 1:
        return sizes_seen.pop() if varied else "?"
    for expression in dict.fromkeys(expressions):
        if names_in(expression) and all(
            evaluate(expression, sizes) == size for sizes, size in observed
        ):
            return expression
    return "?"
