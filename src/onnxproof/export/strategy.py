"""A strategy: one way from a module to an ONNX graph, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    from onnxproof.export.operators.log import OperatorLog
    from onnxproof.export.translations import Translations
    from onnxproof.graph.external_data import Exported
    from onnxproof.source.module import SourceModule

    Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Strategy:
    """What every module of the program asks of a strategy, instead of asking for its name.

    Attributes:
        name: As in the spec.
        exporter: Which of PyTorch's two exporters it uses; a translation has a field for each.
        lowest_opset: The oldest opset that it builds.
        highest_opset: The newest one.
        export: Gives the graph of a module for positional and keyword arguments, with the spec's
            names for outputs; fills the log of operators.
        gives_program: Its graph has the names of an exported program, which PyTorch can run.
        specializes_on: What it takes from the example without an error: sizes of inputs, or values.
        error_hint: What may help against an error that is not known.
        specialization_hint: What may help where a value of the example became a constant.
    """

    name: StrategyName
    exporter: Literal["dynamo", "torchscript"]
    lowest_opset: int
    highest_opset: int
    export: Callable[[SourceModule, Arguments, list[str], Translations, OperatorLog], Exported]
    gives_program: bool
    specializes_on: Literal["sizes", "values"]
    error_hint: str
    specialization_hint: str

    def builds(self, opset: int) -> bool:
        """Whether it can be asked for this opset."""
        return self.lowest_opset <= opset <= self.highest_opset
