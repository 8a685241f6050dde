"""What stages give back: small, frozen, and together the proof.

Everything here is JSON. ``Proof`` is written as ``proof.json``; docs/proof.md explains each field,
and a change of shape here is a change of ``SCHEMA_VERSION``.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from onnxproof.artifact import Artifact
from onnxproof.spec import Spec, Strategy

SCHEMA_VERSION: Final = 1

Outcome = Literal["passed", "failed", "skipped", "not_reached"]
Simplifier = Literal["none", "onnxsim"]
Status = Literal["proven", "unchanged", "refused", "failed"]
Difference = Annotated[
    float, WithJsonSchema({"anyOf": [{"type": "number"}, {"const": "Infinity"}]})
]
"""JSON has no infinity, so it is written as that string; an output that is NaN is as far off."""


class Record(BaseModel):
    """Base of every record."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Verdict(Record):
    """The answer to one question, always with its reason."""

    name: str
    outcome: Outcome
    reason: str


class TensorRecord(Record):
    """A graph input or output as PyTorch takes or gives it.

    ``shape`` holds numbers where the size never changed over the grid, else a dim's name or
    arithmetic over dims; ``?`` where the size varies in no way we could name.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class GridPoint(Record):
    """One shape that the reference covers, or does not and why."""

    dims: dict[str, int]
    outcome: Outcome
    reason: str = ""
    sets: tuple[str, ...] = ()  # folders below the reference, e.g. "test_data_set_0"


class Metric(Record):
    """A metric over the dataset's rows."""

    name: str
    rows: int
    pytorch: float
    onnx: float | None = None


class Reference(Record):
    """Seeded inputs and PyTorch's outputs for them, saved as ``test_data_set_N``."""

    folder: str
    seed: int
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    points: tuple[GridPoint, ...]
    size_bytes: int
    digest: str  # over all files' digests, in order
    metric: Metric | None = None


class Loaded(Record):
    """The module, once built, and what it said."""

    module_class: str
    parameters: int
    weights_sha256: str  # of the state dict's bytes, in key order
    weights_bytes: int
    call: Literal["positional", "keyword"]
    reference: Reference
    seconds: float


class Candidate(Record):
    """One graph: a way out of PyTorch, and what a simplifier made of it."""

    strategy: Strategy
    simplifier: Simplifier
    model: Artifact
    opset: int
    ir_version: int
    nodes: int
    seconds: float

    @property
    def label(self) -> str:
        """``dynamo`` or ``dynamo+onnxsim``."""
        return self.strategy if self.simplifier == "none" else f"{self.strategy}+{self.simplifier}"


class OutputParity(Record):
    """Largest disagreement between PyTorch and ONNX Runtime for one output, over all samples."""

    name: str
    dtype: str
    samples: int
    max_abs_diff: Difference
    max_rel_diff: Difference
    mismatched: int  # elements with |onnx - torch| > atol + rtol * |torch|
    elements: int
    atol: float
    rtol: float
    worst_set: str  # the test_data_set of max_abs_diff
    worst_index: tuple[int, ...]


class CheckResult(Record):
    """Verdicts on one candidate, in the order in which they were reached."""

    candidate: str
    sha256: str  # of the file that was checked
    verdicts: tuple[Verdict, ...]
    parity: tuple[OutputParity, ...] = ()
    metric: Metric | None = None
    seconds: float

    @property
    def proven(self) -> bool:
        """Whether nothing failed and nothing was left out."""
        return all(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def reason(self) -> str:
        """The first verdict that is not ``passed``; empty when proven."""
        return next((f"{v.name}: {v.reason}" for v in self.verdicts if v.outcome != "passed"), "")


class Attempt(Record):
    """One rung of the ladder: what was tried, and how it ended."""

    label: str
    outcome: Outcome
    reason: str
    candidate: Candidate | None = None
    check: CheckResult | None = None
    chosen: bool = False


class Latency(Record):
    """Wall-clock time of one call, host to host, in milliseconds."""

    contender: str  # "pytorch eager" or a candidate's label
    provider: str  # "" for PyTorch
    dims: dict[str, int]
    threads: int
    samples: int
    p50_ms: float
    p90_ms: float | None  # None below ten samples
    min_ms: float
    mean_ms: float


class BenchmarkResult(Record):
    """All contenders, timed in turn in one process; what could not run says why in ``skipped``."""

    latencies: tuple[Latency, ...]
    skipped: tuple[Verdict, ...] = ()
    seconds: float

    def speedup(self, label: str) -> float | None:
        """PyTorch's median over ``label``'s, geometric mean over the points; above 1 is faster."""
        ratios = [
            eager.p50_ms / other.p50_ms
            for eager in self.latencies
            for other in self.latencies
            if not eager.provider and other.contender == label and other.dims == eager.dims
        ]
        product = 1.0
        for ratio in ratios:
            product *= ratio
        return product ** (1 / len(ratios)) if ratios else None


class Ladder(Record):
    """Every rung that was tried, and the candidate that stands; None when none was proven."""

    attempts: tuple[Attempt, ...]
    chosen: Candidate | None = None
    benchmark: BenchmarkResult | None = None

    @property
    def check(self) -> CheckResult | None:
        """The verdicts on the chosen candidate."""
        return next((each.check for each in self.attempts if each.chosen), None)


class Versions(Record):
    """What made the proof."""

    onnxproof: str
    flow: str  # package version plus git commit, e.g. "0.1.0+g1a2b3c4"
    python: str
    toolchain: dict[str, str]  # distribution name to version


class Proof(Record):
    """The manifest that travels with the model."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    proof_key: str
    created_at: str  # ISO 8601, UTC
    versions: Versions
    spec: Spec
    loaded: Loaded
    attempts: tuple[Attempt, ...]
    chosen: Candidate
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
    proof: Proof | None = Field(default=None, exclude=True)
    registration: Registration | None = Field(default=None, exclude=True)


class Work(Record):
    """The folder of one run; everything it writes before the registry is below it."""

    folder: str
    roots: tuple[str, ...]  # where the spec's relative paths and modules are looked up
    allow: tuple[str, ...]  # packages that may be imported
    metadata: dict[str, str]  # stamped into every candidate
    local_code: bool = False  # command line: the roots' own modules are allowed too

    def path(self, *parts: str) -> str:
        """A path below the folder."""
        return str(PurePosixPath(self.folder, *parts))
