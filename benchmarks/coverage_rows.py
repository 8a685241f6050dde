"""The rows of docs/coverage.jsonl, and the classes of failures."""

from __future__ import annotations

import re
from typing import Final, Literal

from pydantic import Field

from onnxproof.records import Record

End = Literal["proven", "wrong", "failed"]
"""``wrong``: a graph came out without an error, and it is not what was asked for."""

CLASSES: Final[tuple[tuple[str, str], ...]] = (
    ("numbers differ", r"parity: output .* differs by"),
    ("breaks at another shape", r"parity: (ONNX Runtime failed|output .* is )"),
    ("a dim is fixed", r"contract: .*is fixed at"),
    ("an input was baked in", r"contract: .*is not in the graph"),
    ("other contract", r"contract: "),
    ("ONNX Runtime does not load it", r"session: "),
    ("no valid ONNX", r"structure: "),
    ("too slow", r"did not finish within"),
    ("too much memory", r"limits\.memory_gb"),
    ("crash", r"crashed with|ended its process"),
    (
        "a dim was specialized",
        r"ConstraintViolation|[Cc]onstraints violated|specializ|not all values of",
    ),
    ("data-dependent", r"data-dependent|GuardOnDataDependent|unbacked|Could not guard"),
    (
        "no ONNX for an operator",
        r"DispatchError|UnsupportedOperator|not supported|No ONNX function",
    ),
    (
        "not TorchScript",
        r"^script: |torch\.jit|NotSupportedError|torchscript|TorchScript|UnsupportedNodeError",
    ),
    ("capture failed", r"^dynamo: "),
    ("trace failed", r"^trace: "),
)
"""The first whose pattern is in the reason; made from the reasons of a whole run."""


class Cell(Record):
    """One way out, for one architecture."""

    end: End
    failure: str = ""  # a class of CLASSES
    reason: str = ""
    chosen: str = ""  # the candidate that stands
    workarounds: tuple[str, ...] = ()
    seconds: float  # every stage that this way needs, simplifier and check included
    peak_gb: float  # resident memory of the largest process


class Row(Record):
    """One architecture; the last row of a name counts."""

    architecture: str
    family: str
    dims: tuple[str, ...]
    measured_at: str
    versions: dict[str, str]
    unloaded: str = ""  # why PyTorch itself gave no reference
    parameters: int = 0
    cells: dict[str, Cell] = Field(default_factory=dict)

    def line(self) -> str:
        """For whoever watches."""
        cells = "  ".join(
            f"{way}={cell.end}{f'/{cell.failure}' if cell.failure else ''} {cell.seconds:.0f}s"
            for way, cell in self.cells.items()
        )
        return f"{self.architecture}: {cells or self.unloaded}"


def failure_class(reason: str) -> str:
    """The class that a reason belongs to."""
    found = (name for name, pattern in CLASSES if re.search(pattern, reason))
    return next(found, "other")
