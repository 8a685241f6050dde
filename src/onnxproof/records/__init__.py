"""What stages give back: small, frozen, and together the proof.

Everything here is JSON. ``Proof`` is written as ``proof.json``; docs/proof.md explains each field,
and a change of shape here is a change of ``SCHEMA_VERSION``.
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
    place,
)
from onnxproof.records.candidate import (
    Attempt,
    Baked,
    Candidate,
    CheckResult,
    Ladder,
    Simplifier,
    label_of,
)
from onnxproof.records.divergence import Divergence
from onnxproof.records.environment import Environment, Suspicion
from onnxproof.records.operators import Operator, OperatorPlace, OperatorReport
from onnxproof.records.parity import Basis, OutputParity
from onnxproof.records.profile import ModuleTime, OperatorTime, Profile
from onnxproof.records.promotion import (
    GateOutcome,
    GateVerdict,
    MeasuredElsewhere,
    Trial,
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
    GridPoint,
    Loaded,
    Metric,
    Noise,
    Reference,
    Rounding,
    TensorRecord,
)
from onnxproof.records.weights import Ledger, LedgerEntry

__all__ = [
    "SCHEMA_VERSION",
    "Attempt",
    "Baked",
    "Basis",
    "BenchmarkResult",
    "Binding",
    "Candidate",
    "CheckResult",
    "Difference",
    "Divergence",
    "Environment",
    "ExportOutcome",
    "GateOutcome",
    "GateVerdict",
    "GridPoint",
    "Ladder",
    "Latency",
    "Ledger",
    "LedgerEntry",
    "Loaded",
    "MeasuredElsewhere",
    "Metric",
    "ModuleTime",
    "Noise",
    "Operator",
    "OperatorPlace",
    "OperatorReport",
    "OperatorTime",
    "Outcome",
    "OutputParity",
    "Placement",
    "Profile",
    "Proof",
    "ProviderCheck",
    "Ratio",
    "Record",
    "Reference",
    "Registration",
    "Rounding",
    "Simplifier",
    "Startup",
    "Status",
    "Suspicion",
    "TensorRecord",
    "Throughput",
    "Trial",
    "Verdict",
    "VersionMeasurement",
    "Versions",
    "Work",
    "label_of",
    "place",
]
