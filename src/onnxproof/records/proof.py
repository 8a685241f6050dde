"""The whole: the proof, where it is registered, and how a run ended."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from onnxproof.records.base import Record
from onnxproof.records.benchmark import BenchmarkResult
from onnxproof.records.candidate import Attempt, Candidate, CheckResult
from onnxproof.records.operators import OperatorReport
from onnxproof.records.promotion import GateVerdict
from onnxproof.records.reference import Loaded
from onnxproof.spec import Spec

SCHEMA_VERSION: Final = 3

Status = Literal["proven", "unchanged", "refused", "failed"]


class Versions(Record):
    """What made the proof."""

    onnxproof: str
    flow: str  # package version plus git commit, e.g. "0.1.0+g1a2b3c4"
    python: str
    toolchain: dict[str, str]  # distribution name to version


class Proof(Record):
    """The manifest that travels with the model."""

    schema_version: Literal[3] = SCHEMA_VERSION
    name: str
    proof_key: str
    created_at: str  # ISO 8601, UTC
    versions: Versions
    spec: Spec
    loaded: Loaded
    attempts: tuple[Attempt, ...]
    chosen: Candidate
    operators: OperatorReport | None = None  # of the way that the chosen graph came out
    check: CheckResult
    benchmark: BenchmarkResult


class Registration(Record):
    """Where the proven bytes are now."""

    name: str
    version: str
    model_uri: str  # models:/NAME/VERSION
    model_id: str
    run_id: str
    run_url: str  # empty when no MLflow server is up
    aliases: tuple[str, ...]


class ExportOutcome(Record):
    """How a run ended, for people and scripts; also what ``--json`` writes."""

    status: Status
    exit_code: int
    stage: str = ""
    reason: str = ""
    name: str = ""
    proof_key: str = ""
    onnx_path: str | None = None
    model_uri: str | None = None
    proof_path: str | None = None
    run_url: str | None = None
    gates: tuple[GateVerdict, ...] = ()  # of the promotion; none where there was none to decide
    proof: Proof | None = Field(default=None, exclude=True)
    registration: Registration | None = Field(default=None, exclude=True)
