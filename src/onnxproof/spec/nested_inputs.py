"""Inputs inside of dicts and tuples: ``features.image`` is ``image`` in the dict ``features``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

NAME: Final = re.compile(r"[A-Za-z_]\w*(\.\w+)*")
INNER: Final = "model"
"""Name of the author's module inside the one that takes nested inputs one by one."""


def flat_inputs(inputs: Any, above: str = "") -> Any:
    """``inputs`` of a spec with nested mappings and lists flattened to dotted names."""
    if not isinstance(inputs, Mapping):
        return inputs
    flat: dict[str, Any] = {}
    for key, value in inputs.items():
        name = f"{above}{key}"
        if isinstance(value, list):
            value = dict(enumerate(value))  # noqa: PLW2901  # a tuple is a mapping from numbers
        if isinstance(value, Mapping) and "dtype" not in value:
            flat |= flat_inputs(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def check_names(names: Iterable[str]) -> None:
    """Nothing; for names that make no arguments, an error.

    Raises:
        ValueError: A name is none, or stands for a tensor and for a group of them.
    """
    names = list(names)
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(
                f"input {name!r} is no name; write letters, digits and _, and a dot before the key "
                "of a dict or the place in a tuple, such as features.image or pair.0"
            )
        if inside := next((member for member in names if member.startswith(f"{name}.")), None):
            raise ValueError(
                f"input {name!r} is a tensor, and {inside!r} makes a group of it; rename one"
            )


def top_level(names: Iterable[str]) -> tuple[str, ...]:
    """Arguments that the names belong to, in order."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in names))


def nest(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Values by argument: dicts by key, and tuples where all keys are numbers."""
    tree: dict[str, Any] = {}
    for name, value in zip(names, values, strict=True):
        *above, last = name.split(".")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return {name: _tuples(value) for name, value in tree.items()}


def _tuples(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = {key: _tuples(part) for key, part in value.items()}
    if all(key.isdecimal() for key in parts):
        return tuple(parts[key] for key in sorted(parts, key=int))
    return parts
