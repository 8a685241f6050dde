"""The simplifiers: each makes a smaller graph of a plain one, whose weights are graph inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from onnxproof.records import SimplifierName

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Simplifier:
    """One way to a smaller graph; ``searches`` are the values of ``export.search`` that try it."""

    simplify: Callable[[onnx.ModelProto], onnx.ModelProto]
    searches: frozenset[Literal["first", "fastest"]] = frozenset({"first", "fastest"})


def simplifiers_of(search: Literal["first", "fastest"]) -> tuple[SimplifierName, ...]:
    """Names of the simplifiers that a search tries, in order."""
    return tuple(name for name, simplifier in SIMPLIFIERS.items() if search in simplifier.searches)


def _onnxsim(graph: onnx.ModelProto) -> onnx.ModelProto:
    import onnxsim

    simplified: onnx.ModelProto = onnxsim.simplify(graph)[0]
    return simplified


def _onnxslim(graph: onnx.ModelProto) -> onnx.ModelProto:
    import onnxslim

    slim: onnx.ModelProto = onnxslim.slim(graph)
    return slim


def _rewrite(graph: onnx.ModelProto) -> onnx.ModelProto:
    from onnxproof.simplify.attention import rewrite

    return rewrite(graph)


SIMPLIFIERS: Final[dict[SimplifierName, Simplifier]] = {
    "onnxsim": Simplifier(_onnxsim),
    "onnxslim": Simplifier(_onnxslim),
    "rewrite": Simplifier(_rewrite, searches=frozenset({"fastest"})),
}
