"""What a person writes: one YAML file that names a model, its inputs and what must hold."""

from __future__ import annotations

from onnxproof.spec.reading import override, parse_spec, read_spec
from onnxproof.spec.schema import (
    BenchmarkSpec,
    Check,
    Dataset,
    Export,
    Gates,
    Limits,
    OutputSpec,
    Provider,
    Spec,
    Strategy,
    Tolerance,
)
from onnxproof.spec.source import Source, Weights

__all__ = [
    "BenchmarkSpec",
    "Check",
    "Dataset",
    "Export",
    "Gates",
    "Limits",
    "OutputSpec",
    "Provider",
    "Source",
    "Spec",
    "Strategy",
    "Tolerance",
    "Weights",
    "override",
    "parse_spec",
    "read_spec",
]
