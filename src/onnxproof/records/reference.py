"""What PyTorch said: the module, and its outputs for seeded inputs."""

from __future__ import annotations

from typing import Literal

from onnxproof.records.base import Outcome, Record
from onnxproof.records.parity import ClassBudget


class TensorRecord(Record):
    """A graph input or output as PyTorch takes or gives it.

    ``shape`` holds numbers where the size never changed over the grid, else a dim's name or
    arithmetic over dims; ``?`` where the size varies in no way we could name.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    used: bool = True  # of an input: whether an output changed with it


class GridPoint(Record):
    """One shape that the reference covers, or does not and why; or rows of the dataset."""

    dims: dict[str, int]
    outcome: Outcome
    reason: str = ""
    sets: tuple[str, ...] = ()  # folders below the reference, e.g. "test_data_set_0"
    values: Literal["seeded", "dataset", "sizes", "edges"] = "seeded"


class Metric(Record):
    """A metric over the dataset's rows."""

    name: str
    rows: int
    pytorch: float
    onnx: float | None = None
    better: Literal["higher", "lower"] = "higher"


class ClassNoise(Record):
    """Distances among the elements of one magnitude class: from ``low``, below 1024 times it."""

    low: float  # 0 for zeros
    elements: int
    max_abs: float
    rms: float


class Noise(Record):
    """How far PyTorch's output lies from what it gives in float64, over the same samples."""

    name: str
    max_abs: float
    sets: int
    classes: tuple[ClassNoise, ...] = ()  # smallest first


class Rounding(Record):
    """How far PyTorch's float32 output moves when products round what they multiply."""

    precision: Literal["tf32", "float16", "bfloat16"]
    name: str
    max_abs: float
    sets: int
    classes: tuple[ClassNoise, ...] = ()  # smallest first


class DrawnValues(Record):
    """What the samples hold of one input."""

    name: str
    values: str  # as in the spec: normal, uniform, integers, ...
    least: float | None  # of all samples but the edge samples; None where none has an element
    largest: float | None
    edges: tuple[str, ...] = ()  # what it holds in edge samples


class EdgeOutput(Record):
    """PyTorch's own noise in one output of a sample, as a budget; and what it leaves undecided."""

    name: str
    classes: tuple[ClassBudget, ...] = ()  # smallest first; none of what is no float
    undecided: tuple[int, ...] = ()  # flat indices: there PyTorch itself gives another answer


class EdgeSample(Record):
    """One sample of values that a seeded draw hardly has."""

    folder: str  # its test_data_set
    inputs: tuple[str, ...]  # those that are not seeded
    values: str  # what they hold: "half steps"
    outputs: tuple[EdgeOutput, ...] = ()


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
    noise: tuple[Noise, ...] = ()  # of float outputs; empty where it could not be measured
    noise_missing: str = ""  # why
    rounding: tuple[Rounding, ...] = ()  # for the precisions of the spec's providers, below float32
    drawn: tuple[DrawnValues, ...] = ()
    edges: tuple[EdgeSample, ...] = ()


class Loaded(Record):
    """The module, once built, and what it said."""

    module_class: str
    parameters: int
    weights_sha256: str  # of the state dict's bytes, in key order
    weights_bytes: int
    call: Literal["positional", "keyword", "list", "varargs"]
    computes_in: tuple[str, ...] = ()  # element types; none where forward could not be watched
    batch_statistics: bool = False  # whether forward normalizes by those of the batch
    reference: Reference
    seconds: float
