"""Values that a seeded draw hardly ever has, within what the spec declares: zeros, ends, steps.

Translations of operators are wrong there more often than elsewhere: at a zero and its sign, at
ties, at multiples of a divisor, beside 2**24.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.samples.generate import Feed, draw
from onnxproof.spec.inputs import FLOATS, InputSpec

if TYPE_CHECKING:
    import numpy as np

    Fill = Callable[[InputSpec, np.ndarray], "np.ndarray | None"]
    """Values for an input in place of the seeded ones; None where the spec allows none of them."""

MOST_SAMPLES: Final = 24
MOST_CONSTANTS: Final = 4
"""Of the module, of which multiples are drawn."""
MULTIPLES: Final = 32
"""To each side of zero where the spec names no range, and in all within a range."""
EXACT_IN_FLOAT32: Final = 2**24
"""Above it float32 leaves integers out."""
ZERO: Final = "0"
NEGATIVE_ZERO: Final = "-0"


class EdgeFeed(NamedTuple):
    """Inputs of one sample."""

    inputs: tuple[str, ...]  # those that are not seeded
    values: str  # what they hold, for people: "half steps"
    feed: Feed
    alike: bool  # rows of one value, or values that repeat: nothing tells their order


def edge_feeds(
    inputs: Mapping[str, InputSpec],
    sizes: Mapping[str, int],
    seed: int,
    constants: Sequence[float],
) -> Iterator[EdgeFeed]:
    """Samples, the most telling first; all inputs of a kind change together, the others are seeded.

    Masks, lengths and Python numbers keep their seeded values.

    Args:
        inputs: What is declared; no value leaves it.
        sizes: A size for each dim.
        seed: Of the values that stay seeded.
        constants: Numbers that the module computes with, such as divisors.
    """
    seeded = draw(inputs, sizes, seed, 0)
    kinds = [
        _varied(inputs, seeded, names, patterns)
        for names, patterns in (
            (_named(inputs, ("normal", "uniform")), _float_patterns(constants)),
            (_named(inputs, ("integers",)), _integer_patterns(constants)),
            (_named(inputs, ("bool",)), BOOL_PATTERNS),
        )
    ]
    rounds = itertools.zip_longest(*kinds)
    found = (edge for together in rounds for edge in together if edge is not None)
    yield from itertools.islice(found, MOST_SAMPLES)


class _Pattern(NamedTuple):
    label: str
    fill: Fill
    alike: bool = False


def _named(inputs: Mapping[str, InputSpec], values: Sequence[str]) -> list[str]:
    return [
        name
        for name, input_spec in inputs.items()
        if input_spec.values in values and input_spec.is_tensor
    ]


def _varied(
    inputs: Mapping[str, InputSpec],
    seeded: Feed,
    names: Sequence[str],
    patterns: Sequence[_Pattern],
) -> Iterator[EdgeFeed]:
    """One sample of each pattern that changes an input; inputs that it does not fit stay seeded."""
    for pattern in patterns:
        changed = {}
        for name in names:
            filled = pattern.fill(inputs[name], seeded[name]) if seeded[name].size else None
            if filled is not None:
                changed[name] = filled.astype(inputs[name].array_dtype)
        if changed:
            yield EdgeFeed(tuple(changed), pattern.label, {**seeded, **changed}, pattern.alike)


def _cycled(values: Sequence[float], spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    """``like`` filled with those of ``values`` that the spec allows, again from the first."""
    import numpy as np

    low, high = _ends(spec)
    allowed = [value for value in values if low <= value <= high]
    if not allowed:
        return None
    dtype = np.float64 if spec.dtype in FLOATS else np.int64
    return np.resize(np.array(allowed, dtype), like.shape)


def _ends(spec: InputSpec) -> tuple[float, float]:
    low = -float("inf") if spec.low is None else spec.low
    return low, float("inf") if spec.high is None else spec.high


def _steps(step: float, offset: float, spec: InputSpec) -> list[float]:
    """Multiples of ``step`` and an offset: over the range where there is one, else around zero."""
    import numpy as np

    low, high = _ends(spec)
    if spec.low is None or spec.high is None:
        first, last = -MULTIPLES, MULTIPLES
    else:
        first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    count = min(last - first + 1, 2 * MULTIPLES + 1)
    numbers = np.unique(np.linspace(first, last, max(count, 0)).round())
    # The smallest multiples first: a small input takes the first values alone.
    order = np.argsort(np.abs(numbers), kind="stable")
    return [float(number) * step + offset for number in numbers[order]]


def _multiples(step: float, offset: float = 0.0) -> Fill:
    return lambda spec, like: _cycled(_steps(step, offset, spec), spec, like)


def _neighbors(step: float) -> Fill:
    """The floats next to multiples, below and above in turn."""

    def fill(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
        import numpy as np

        exact = np.array(_steps(step, 0.0, spec), spec.array_dtype)
        ends = np.array([-np.inf, np.inf], exact.dtype)
        near = np.nextafter(exact, np.resize(ends, exact.shape))
        return _cycled([float(value) for value in near], spec, like)

    return fill


def _values(*values: float) -> Fill:
    return lambda spec, like: _cycled(values, spec, like)


def _end(which: int) -> Fill:
    def fill(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
        return None if spec.low is None else _cycled([_ends(spec)[which]], spec, like)

    return fill


def _both_ends(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    return None if spec.low is None else _cycled(_ends(spec), spec, like)


def _signs(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    """Rows of all combinations of -1, 0 and 1 along the last axis, as far as there is room."""
    width = like.shape[-1] if like.ndim else 1
    combinations = itertools.product((-1.0, 0.0, 1.0), repeat=min(width, 4))
    rows = (itertools.islice(itertools.cycle(values), width) for values in combinations)
    return _cycled([value for row in rows for value in row], spec, like)


def _constant_rows(_spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    import numpy as np

    if not like.ndim or like.shape[-1] < 2:
        return None
    return np.asarray(np.broadcast_to(like[..., :1], like.shape))


def _repeated(_spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    import numpy as np

    return np.resize(like.ravel()[:3], like.shape) if like.size > 3 else None


def _beside_zero(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    """Every third seeded value is zero."""
    import numpy as np

    zero = _cycled([0.0], spec, like)
    third = np.arange(like.size).reshape(like.shape) % 3 == 0
    return None if zero is None else np.where(third, zero, like)


def _float_patterns(constants: Sequence[float]) -> list[_Pattern]:
    multiples = [
        pattern
        for constant in constants[:MOST_CONSTANTS]
        for pattern in (
            _Pattern(f"multiples of {constant:g}", _multiples(abs(constant))),
            _Pattern(f"next to multiples of {constant:g}", _neighbors(abs(constant))),
            _Pattern(f"{constant:g} and its opposite", _values(constant, -constant)),
        )
    ]
    return [
        _Pattern(ZERO, _values(0.0), alike=True),
        _Pattern("combinations of -1, 0 and 1", _signs),
        _Pattern("whole numbers", _multiples(1.0)),
        _Pattern("both ends", _both_ends),
        *multiples[:2],
        _Pattern(NEGATIVE_ZERO, _values(-0.0), alike=True),
        _Pattern("half steps", _multiples(1.0, 0.5)),
        _Pattern("tenths", _multiples(0.1)),
        _Pattern("constant rows", _constant_rows, alike=True),
        _Pattern("repeated values", _repeated, alike=True),
        _Pattern("the least", _end(0), alike=True),
        _Pattern("the largest", _end(1), alike=True),
        _Pattern("a zero in three", _beside_zero),
        _Pattern("quarters", _multiples(0.25)),
        *multiples[2:],
    ]


def _beside_multiples(constant: float) -> Fill:
    """Whole multiples, and what stands before and after each."""

    def fill(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
        steps = _steps(max(abs(int(constant)), 1), 0.0, spec)
        # The last ones first: they are the largest.
        return _cycled([step + off for step in reversed(steps) for off in (-1, 0, 1)], spec, like)

    return fill


def _large_integers(spec: InputSpec, like: np.ndarray) -> np.ndarray | None:
    """Odd numbers above 2**24, over the range; None where it ends below."""
    import numpy as np

    low, high = _ends(spec)
    first = max(low, EXACT_IN_FLOAT32 + 1)
    if not first < high < 2**62:
        return None
    spread = np.linspace(first, high, 2 * MULTIPLES).astype(np.int64) | 1
    return _cycled([int(value) for value in reversed(spread)], spec, like)


def _integer_patterns(constants: Sequence[float]) -> list[_Pattern]:
    whole = [constant for constant in constants if constant == int(constant) and abs(constant) > 1]
    return [
        *(
            _Pattern(f"next to multiples of {int(constant)}", _beside_multiples(constant))
            for constant in whole[:MOST_CONSTANTS]
        ),
        _Pattern("the least", _end(0), alike=True),
        _Pattern("the largest", _end(1), alike=True),
        _Pattern("both ends", _both_ends),
        _Pattern(f"above {EXACT_IN_FLOAT32}", _large_integers),
        _Pattern("from -8 to 8", _values(*range(-8, 9))),
    ]


BOOL_PATTERNS: Final = (
    _Pattern("all False", lambda _spec, like: like & False, alike=True),
    _Pattern("all True", lambda _spec, like: like | True, alike=True),
)
