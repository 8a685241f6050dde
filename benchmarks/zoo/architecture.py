"""What an entry of the zoo is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from onnxproof.spec import Spec, parse_spec

BATCH = {"batch": {"min": 1, "max": 4}}
TEXT = BATCH | {"seq": {"min": 1, "max": 24}}
SIDES = {"min": 32, "max": 96, "multiple_of": 32}
IMAGES = BATCH | {"height": SIDES, "width": SIDES}
"""Three ranges that most entries declare."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One small model, and what a person would write in its spec."""

    name: str
    family: str
    factory: str
    inputs: Mapping[str, str]
    dims: Mapping[str, Mapping[str, int]]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    needs: str = ""  # a package beyond those of `examples`

    @property
    def runs_here(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.needs or find_spec(self.needs) is not None

    def spec(self, *, seconds: float, memory_gb: float) -> Spec:
        """The spec, with these limits for each stage."""
        data = {
            "name": self.name,
            "source": {"factory": self.factory, "kwargs": dict(self.kwargs)},
            "inputs": dict(self.inputs),
            "dims": {name: dict(dim) for name, dim in self.dims.items()},
            "check": {"samples": 2},
            "limits": {"seconds": seconds, "memory_gb": memory_gb},
        }
        return parse_spec(data, self.name)
