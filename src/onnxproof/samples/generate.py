"""Seeded input values that a model may really get."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from onnxproof.spec.dims import evaluate
from onnxproof.spec.inputs import InputSpec

if TYPE_CHECKING:
    import numpy as np

Feed = dict[str, "np.ndarray"]
"""Input name to array, as ``session.run`` takes it; a Python number is a 0-dim array."""


def draw(inputs: Mapping[str, InputSpec], sizes: Mapping[str, int], seed: int, sample: int) -> Feed:
    """Values for every input, the same for the same arguments on every machine."""
    import numpy as np

    feed = {}
    for name, input_spec in inputs.items():
        # crc32, not hash(): Python salts the hash of a string in every process.
        seed_words = [seed, sample, zlib.crc32(name.encode()), *sizes.values()]
        shape = tuple(int(evaluate(size, sizes)) for size in input_spec.shape)
        feed[name] = _values(input_spec, shape, np.random.default_rng(seed_words), sample)
    return feed


def _values(
    spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator, sample: int
) -> np.ndarray:
    import numpy as np

    values: np.ndarray
    if spec.values == "normal":
        values = np.asarray(rng.standard_normal(shape) * spec.scale)
    elif spec.values == "uniform":
        values = np.asarray(rng.uniform(spec.low or 0.0, spec.high or 0.0, shape))
    elif spec.values == "bool":
        values = np.asarray(rng.random(shape) < 0.5)
    elif spec.values == "mask":
        values = _mask(shape, rng, first=sample == 0)
    elif spec.values == "additive_mask":
        # Finite, as in transformers: a score of minus infinity in all of a row would be NaN.
        lowest = np.finfo(spec.array_dtype).min
        values = np.where(_mask(shape, rng, first=sample == 0), 0.0, lowest)
    else:
        values = _integers(spec, shape, rng, sample)
    return np.asarray(values).astype(spec.array_dtype)


def _integers(
    spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator, sample: int
) -> np.ndarray:
    """Integers over the whole declared range; the first sample holds both ends of it.

    A single number, such as a count, cannot hold both: the second sample has the other end.
    """
    import numpy as np

    low, high = int(spec.low or 0), int(spec.high or 0)
    values = np.asarray(rng.integers(low, high, shape, endpoint=True))
    if sample == 1 and values.size == 1:
        values.flat[0] = low
    if sample == 0 and values.size:
        values.flat[-1] = low
        values.flat[0] = high
    return values


def _mask(shape: tuple[int, ...], rng: np.random.Generator, *, first: bool) -> np.ndarray:
    """Right-padded rows of ones, at least one each; a full row in the first sample.

    Of more than two sizes, all between the first and the last share the row's mask.
    """
    import numpy as np

    rows, *between, positions = shape
    lengths = rng.integers(1, max(positions, 1), rows, endpoint=True)
    if first and rows:
        lengths[0] = positions
    mask = np.arange(positions)[None, :] < lengths[:, None]
    return np.broadcast_to(mask.reshape(rows, *(1 for _ in between), positions), shape)
