"""Symbolic dimensions: ranges, and arithmetic such as ``2*seq`` that may stand in a shape."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = int | str
"""One entry of a shape: a number, a dim's name, or arithmetic over dims."""

_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


class Dim(BaseModel):
    """The values a symbolic dimension may take; a proof covers this range and no more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: int = Field(default=1, ge=1, description="Smallest size a consumer may send.")
    max: int = Field(ge=1, description="Largest size a consumer may send.")
    example: int | None = Field(default=None, description="Size used while exporting.")
    multiple_of: int = Field(default=1, ge=1, description="Sizes in between that do not occur.")

    @model_validator(mode="after")
    def _holds_together(self) -> Dim:
        if self.min > self.max:
            raise ValueError(
                f"min {self.min} is above max {self.max}; swap them or widen the range"
            )
        if self.smallest > self.largest:
            raise ValueError(f"no multiple of {self.multiple_of} lies in {self.min}..{self.max}")
        if self.example is not None and not self.holds(self.example):
            raise ValueError(
                f"example {self.example} is not a multiple of {self.multiple_of} in "
                f"{self.min}..{self.max}"
            )
        return self

    @property
    def smallest(self) -> int:
        """The least size that is allowed."""
        return -(-self.min // self.multiple_of) * self.multiple_of

    @property
    def largest(self) -> int:
        """The greatest size that is allowed."""
        return self.max // self.multiple_of * self.multiple_of

    @property
    def fixed(self) -> bool:
        """Whether one size only is allowed."""
        return self.smallest == self.largest

    def holds(self, size: int) -> bool:
        """Whether ``size`` is allowed."""
        return self.min <= size <= self.max and size % self.multiple_of == 0

    def near(self, size: int) -> int:
        """The allowed size closest to ``size``."""
        rounded = round(size / self.multiple_of) * self.multiple_of
        return min(max(rounded, self.smallest), self.largest)


def names_in(size: Size) -> tuple[str, ...]:
    """Dims that a shape entry depends on, in order of appearance.

    Raises:
        ValueError: The entry is no arithmetic over dims (``+``, ``-``, ``*``, ``//``).
    """
    if isinstance(size, int):
        return ()
    tree = _parse(size)
    return tuple(dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)))


def evaluate(size: Size, values: Mapping[str, Any]) -> Any:
    """A shape entry with ``values`` for its dims; they may be ints or ``torch.export.Dim``s."""
    return size if isinstance(size, int) else _evaluate(_parse(size), values)


def _parse(size: str) -> ast.expr:
    try:
        tree = ast.parse(size.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{size!r} is no dimension; write a number, a name or 2*name") from None
    for node in ast.walk(tree):
        allowed = isinstance(node, (ast.Name, ast.BinOp, ast.Load, *_OPERATORS)) or (
            isinstance(node, ast.Constant) and type(node.value) is int
        )
        if not allowed:
            raise ValueError(f"{size!r} is no dimension; write a number, a name or 2*name")
    return tree


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, values), _evaluate(node.right, values)
        return _OPERATORS[type(node.op)](left, right)
    return values[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
