"""Which PyTorch operators a program has, and which ONNX operators they became."""

from __future__ import annotations

from pydantic import Field

from onnxproof.records.base import Record
from onnxproof.spec import StrategyName


class SourceLocation(Record):
    """Where an operator stands in the author's code."""

    module: str  # path of the nn.Module, as in named_modules(); "" is the model itself
    line: str  # "model.py:12", from a root or from where Python finds packages; "" when not known


class Operator(Record):
    """All uses of one PyTorch operator."""

    name: str  # as PyTorch spells it: "aten::softmax.int"
    count: int
    onnx: dict[str, int]  # nodes by ONNX operator; of another domain "domain::Name"
    locations: tuple[SourceLocation, ...]  # the first few, of different modules or lines
    fault: str = ""  # why it has no translation; empty when it has one


class OperatorReport(Record):
    """The operators of one strategy's program, in the order in which they first come."""

    strategy: StrategyName
    opset: int | None = None  # None where the strategy did not get that far
    operators: tuple[Operator, ...]
    others: dict[str, int] = Field(
        default_factory=dict
    )  # nodes that come from no operator, such as constants
    unknown: str = ""  # what the exporter does not tell
    fault: str = ""  # why there is no graph; empty when there is one

    @property
    def untranslated(self) -> tuple[Operator, ...]:
        """Those without a translation."""
        return tuple(operator for operator in self.operators if operator.fault)
