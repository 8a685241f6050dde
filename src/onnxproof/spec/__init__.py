"""What a person writes: one YAML file that names a model, its inputs and what must hold.

Holds fields, bounds and messages about them. Nothing here opens a model or a package. Imports
``errors``, pydantic and PyYAML.
"""

from __future__ import annotations

from onnxproof.spec.benchmark import CPU, BenchmarkSpec, Elsewhere, Provider, ThroughputSpec
from onnxproof.spec.parse import override, parse_spec, read_spec
from onnxproof.spec.schema import (
    Check,
    Dataset,
    Export,
    Gates,
    Limits,
    OutputSpec,
    Spec,
    StrategyName,
)
from onnxproof.spec.source import Source, Weights
from onnxproof.spec.tolerance import Tolerance

__all__ = [
    "CPU",
    "BenchmarkSpec",
    "Check",
    "Dataset",
    "Elsewhere",
    "Export",
    "Gates",
    "Limits",
    "OutputSpec",
    "Provider",
    "Source",
    "Spec",
    "StrategyName",
    "ThroughputSpec",
    "Tolerance",
    "Weights",
    "override",
    "parse_spec",
    "read_spec",
]
