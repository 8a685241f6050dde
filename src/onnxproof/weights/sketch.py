"""A number for each row and each column of a tensor, which tells where two tensors differ.

A row's number is the sum of its elements, as unsigned integers, each times an odd number of its
place, modulo 2**64: another element changes it always, several at random leave it once in 2**64.
A column's number is the row's of the transpose, so no transpose is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Hashes = np.ndarray[Any, np.dtype[np.uint64]]

MIN_WIDTH: Final = 16
"""Rows of fewer elements, as of a depthwise convolution, are taken together, in blocks."""
MIN_MATRIX_WIDTH: Final = 4
"""A number takes as many bytes as two elements of float32."""
BLOCK: Final = 64
CHUNK_ELEMENTS: Final = 1 << 19


class Sketch(NamedTuple):
    """Of a tensor as a matrix; no columns where it was taken in blocks."""

    rows: Hashes
    columns: Hashes


def sketch(data: Any, itemsize: int, shape: Sequence[int]) -> Sketch:
    """Of the elements in ``data``, a buffer of ``itemsize`` bytes each."""
    import numpy as np

    if itemsize == 16:  # complex128
        itemsize, shape = 8, [*shape, 2]
    flat = np.frombuffer(data, dtype=f"u{itemsize}")
    height, width = matrix_of(shape)
    if width == BLOCK and height * width != prod(shape):
        padded = np.zeros(height * width, flat.dtype)
        padded[: flat.size] = flat
        flat = padded
    rows, columns = _sums(flat.reshape(height, width))
    return Sketch(rows, columns if in_rows(shape) else np.empty(0, np.uint64))


def in_rows(shape: Sequence[int]) -> bool:
    """Whether a tensor of this shape has rows, and is not taken in blocks."""
    sizes = [size for size in shape if size != 1]
    least = MIN_MATRIX_WIDTH if len(sizes) == 2 else MIN_WIDTH
    return len(sizes) > 1 and prod(sizes[1:]) >= least


def matrix_of(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and elements of each: the first axis and the others; of a stack of matrices, theirs."""
    if not in_rows(shape):
        return -(-prod(shape) // BLOCK), BLOCK
    sizes = [size for size in shape if size != 1]
    if len(sizes) == 3 and sizes[-1] >= MIN_WIDTH:
        return sizes[0] * sizes[1], sizes[2]
    return sizes[0], prod(sizes[1:])


def _sums(matrix: np.ndarray) -> tuple[Hashes, Hashes]:
    import numpy as np

    height, width = matrix.shape
    factors = _factors(max(height, width))
    rows, columns = np.empty(height, np.uint64), np.zeros(width, np.uint64)
    step = max(1, CHUNK_ELEMENTS // width)
    for start in range(0, height, step):
        part = matrix[start : start + step].astype(np.uint64)
        rows[start : start + step] = np.einsum("ij,j->i", part, factors[:width])
        columns += np.einsum("i,ij->j", factors[start : start + len(part)], part)
    return rows, columns


def _factors(count: int) -> Hashes:
    """Odd numbers that look random: splitmix64 of 1, 2, 3 and so on."""
    import numpy as np

    mixed = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    odd: Hashes = (mixed ^ (mixed >> np.uint64(31))) | np.uint64(1)
    return odd


def project(matrix: np.ndarray) -> np.ndarray:
    """Three numbers a row, which scale with it: two sums with random weights, and its norm."""
    import numpy as np

    weights = np.random.default_rng(0).standard_normal((matrix.shape[1], 2))
    result = np.empty((len(matrix), 3))
    step = max(1, CHUNK_ELEMENTS // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        part = matrix[start : start + step].astype(np.float64)
        result[start : start + step, :2] = part @ weights
        result[start : start + step, 2] = np.sqrt(np.einsum("ij,ij->i", part, part))
    return result


def rows_of(array: np.ndarray, axis: int) -> np.ndarray:
    """The tensor as a matrix with a row for each place on ``axis``, which is 0 or 1."""
    return array.swapaxes(0, axis).reshape(array.shape[axis], -1)
