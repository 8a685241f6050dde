"""What stages give back: small, frozen, and together the proof.

Everything here is JSON. ``Proof`` is written as ``proof.json``; docs/proof.md explains each field,
and a change of shape here is a change of ``SCHEMA_VERSION``. Nothing here computes or reads files.
Imports ``spec`` and ``artifact``.
"""

from __future__ import annotations

from onnxproof.records.base import (
    Difference,
    Outcome,
    Record,
    Verdict,
    Work,
)
from onnxproof.records.benchmark import (
    BenchmarkResult,
    Binding,
    Latency,
    Ratio,
    Startup,
    Throughput,
    where_text,
)
from onnxproof.records.candidate import (
    Attempt,
    Candidate,
    CheckResult,
    EdgeCheck,
    SearchResult,
    SimplifierName,
    Specialization,
    label_of,
)
from onnxproof.records.divergence import Divergence
from onnxproof.records.environment import Environment, QualityWarning
from onnxproof.records.operators import Operator, OperatorReport, SourceLocation
from onnxproof.records.parity import Basis, ClassBudget, ClassParity, FillParity, OutputParity
from onnxproof.records.profile import ModuleTime, OperatorTime, Profile
from onnxproof.records.promotion import (
    Comparison,
    GateOutcome,
    GateVerdict,
    MeasuredElsewhere,
    VersionMeasurement,
)
from onnxproof.records.proof import (
    SCHEMA_VERSION,
    ExportOutcome,
    Proof,
    Registration,
    Status,
    Versions,
)
from onnxproof.records.provider import Placement, ProviderCheck
from onnxproof.records.reference import (
    ClassNoise,
    DrawnValues,
    EdgeOutput,
    EdgeSample,
    GridPoint,
    Loaded,
    Metric,
    Noise,
    Reference,
    Rounding,
    TensorRecord,
)
from onnxproof.records.run import Run
from onnxproof.records.weights import UnmatchedTensor, WeightMatch

__all__ = [
    "SCHEMA_VERSION",
    "Attempt",
    "Basis",
    "BenchmarkResult",
    "Binding",
    "Candidate",
    "CheckResult",
    "ClassBudget",
    "ClassNoise",
    "ClassParity",
    "Comparison",
    "Difference",
    "Divergence",
    "DrawnValues",
    "EdgeCheck",
    "EdgeOutput",
    "EdgeSample",
    "Environment",
    "ExportOutcome",
    "FillParity",
    "GateOutcome",
    "GateVerdict",
    "GridPoint",
    "Latency",
    "Loaded",
    "MeasuredElsewhere",
    "Metric",
    "ModuleTime",
    "Noise",
    "Operator",
    "OperatorReport",
    "OperatorTime",
    "Outcome",
    "OutputParity",
    "Placement",
    "Profile",
    "Proof",
    "ProviderCheck",
    "QualityWarning",
    "Ratio",
    "Record",
    "Reference",
    "Registration",
    "Rounding",
    "Run",
    "SearchResult",
    "SimplifierName",
    "SourceLocation",
    "Specialization",
    "Startup",
    "Status",
    "TensorRecord",
    "Throughput",
    "UnmatchedTensor",
    "Verdict",
    "VersionMeasurement",
    "Versions",
    "WeightMatch",
    "Work",
    "label_of",
    "where_text",
]
