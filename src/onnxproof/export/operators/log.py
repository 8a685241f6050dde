"""Counts of operators, taken while a program is read or translated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final, NoReturn

from onnxproof.errors import ExportError
from onnxproof.records import Operator, OperatorReport, SourceLocation
from onnxproof.spec import StrategyName
from onnxproof.usercode.source_lines import author_line

OPERATOR_HINT: Final = (
    "give the operator a translation in export.translations, or write this line with others"
)
MAX_LOCATIONS: Final = 3
"""Of each operator in a report: BERT-base has 73 linear layers."""

NO_TRANSLATION: Final = "no translation"


@dataclass(slots=True)
class _Uses:
    count: int = 0
    onnx: Counter[str] = field(default_factory=Counter)
    locations: list[SourceLocation] = field(default_factory=list)
    fault: str = ""


class OperatorLog:
    """What an exporter tells of its operators; one log for one export."""

    def __init__(self, strategy: StrategyName, opset: int, roots: Sequence[str]) -> None:
        self._strategy: StrategyName = strategy
        self.opset = opset
        self.outer = ""  # name of the author's module in one that was put around it
        self._roots = roots
        self._uses: dict[str, _Uses] = {}
        self._others: Counter[str] = Counter()
        self._unknown = ""

    def found(self, name: str, module: str, trace: str) -> None:
        """One use of an operator, with the path of its module and its stack trace."""
        uses = self._uses.setdefault(name, _Uses())
        uses.count += 1
        if len(uses.locations) < MAX_LOCATIONS:
            if self.outer and module.partition(".")[0] == self.outer:
                module = module.partition(".")[2]
            location = SourceLocation(module=module, line=author_line(trace, self._roots))
            uses.locations += [location] if location not in uses.locations else []

    def became(self, name: str | None, onnx: str) -> None:
        """One ONNX node, of the operator that it comes from; None where it comes from none."""
        uses = self._uses.get(name) if name else None
        (self._others if uses is None else uses.onnx)[onnx] += 1

    def untranslated(self, name: str, fault: str) -> None:
        """A use that no translation takes."""
        self._uses[name].fault = fault

    def keep(self, kept: Iterable[str], unknown: str) -> None:
        """Forget ONNX operators that the finished graph has nowhere; ``unknown`` says the rest."""
        names = set(kept)
        for uses in self._uses.values():
            uses.onnx = Counter({name: n for name, n in uses.onnx.items() if name in names})
        self._unknown = unknown

    def clear(self) -> None:
        """Begin again."""
        self._uses.clear()
        self._others.clear()

    def report(self, fault: str = "") -> OperatorReport:
        """What was logged, of an export that ended with ``fault``."""
        return OperatorReport(
            strategy=self._strategy,
            opset=self.opset,
            operators=tuple(
                Operator(
                    name=name,
                    count=uses.count,
                    onnx=dict(uses.onnx.most_common()),
                    locations=tuple(uses.locations),
                    fault=uses.fault,
                )
                for name, uses in self._uses.items()
            ),
            others=dict(self._others.most_common()),
            unknown=self._unknown,
            fault=fault,
        )

    def refuse_untranslated(self) -> None:
        """Say which operators have no translation.

        Raises:
            ExportError: With all of them at once.
        """
        missing = self.report().untranslated
        if not missing:
            return
        listed = "; ".join(map(describe, missing))
        operators = "operator does" if len(missing) == 1 else "operators do"
        raise ExportError(
            f"{self._strategy}: {len(missing)} {operators} not translate to ONNX opset "
            f"{self.opset}: {listed}",
            where=next((location.line for location in missing[0].locations), ""),
            hint=OPERATOR_HINT,
        )


@contextmanager
def replaced(module: ModuleType, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Let ``module`` have another function under ``name`` inside of the block."""
    original = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, original)


def raise_ours(error: Exception) -> NoReturn:
    """Raise the ``ExportError`` that an exporter has wrapped in its own, else ``error`` itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ExportError):
            raise cause from None
        cause = cause.__cause__
    raise error


def describe(operator: Operator) -> str:
    """``demo::twist (3 times, first at net.py:12 in layers.0)``."""
    times = "once" if operator.count == 1 else f"{operator.count} times"
    location = operator.locations[0] if operator.locations else None
    where = f", first at {location.line}" if location and location.line else ""
    module = f" in {location.module}" if location and location.module else ""
    fault = f": {operator.fault}" if operator.fault else ""
    return f"{operator.name} ({times}{where}{module}){fault}"
