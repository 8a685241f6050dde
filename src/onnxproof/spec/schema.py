"""The parts of a spec, and the whole."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from onnxproof.spec.base import REFERENCE_PATTERN, Section
from onnxproof.spec.benchmark import BenchmarkSpec
from onnxproof.spec.dims import Dim, names_in
from onnxproof.spec.inputs import InputSpec
from onnxproof.spec.nested_inputs import check_names, flat_inputs
from onnxproof.spec.source import Source
from onnxproof.spec.tolerance import Tolerance

StrategyName = Literal["dynamo", "trace", "script"]
OPERATOR_PATTERN: Final = r"^\w+::\w+(\.\w+)?$"
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""MLflow refuses ``/ : . % " '`` in the name of a logged model (mlflow 3.17, its naming rules)."""


class OutputSpec(Section):
    """A named output, in the order in which ``forward`` returns them."""

    tolerance: Tolerance | Literal["auto"] = "auto"
    nonfinite: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="allow: NaN and infinity pass where PyTorch gives the same, at the same place.",
    )


class Dataset(Section):
    """Real rows with labels; the metric is taken on PyTorch and on the ONNX model."""

    path: str = Field(description=".npz file")
    inputs: dict[str, str] = Field(min_length=1, description="Input name to array name.")
    labels: str
    metric: (
        Literal["top1", "f1", "mse", "spearman"] | Annotated[str, Field(pattern=REFERENCE_PATTERN)]
    ) = Field(
        default="top1",
        description="f1 is the mean over classes; or module:callable of outputs and labels.",
    )
    better: Literal["higher", "lower"] | None = Field(
        default=None, description="Which scores; lower for mse, higher for all others."
    )

    @property
    def better_scores(self) -> Literal["higher", "lower"]:
        """As asked, or as is usual for the metric."""
        return self.better or ("lower" if self.metric == "mse" else "higher")

    @property
    def modules(self) -> set[str]:
        """The module of a metric of one's own."""
        return {self.metric.partition(":")[0]} if ":" in self.metric else set()


class Translation(Section):
    """What translates an operator; in YAML one ``module:callable`` may stand for all exporters."""

    dynamo: str | None = Field(default=None, pattern=REFERENCE_PATTERN)
    torchscript: str | None = Field(
        default=None, pattern=REFERENCE_PATTERN, description="For trace and script."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_for_all(cls, written: object) -> object:
        if isinstance(written, str):
            return {"dynamo": written, "torchscript": written}
        return written


class Export(Section):
    """How to leave PyTorch."""

    strategies: tuple[StrategyName, ...] = Field(
        default=("dynamo", "trace", "script"), min_length=1
    )
    opset: Literal["auto"] | Annotated[int, Field(ge=13, le=23)] = "auto"
    search: Literal["first", "fastest"] = "first"
    min_onnxruntime: str = Field(default="1.18", pattern=r"^\d+\.\d+$")
    static: bool = Field(default=False, description="Fix every dim at its example size.")
    translations: dict[Annotated[str, Field(pattern=OPERATOR_PATTERN)], Translation] = Field(
        default_factory=dict, description="By operator, such as namespace::name."
    )
    needs: tuple[Annotated[str, Field(pattern=REFERENCE_PATTERN)], ...] = Field(
        default=(),
        description="Each returns the path of a library of operators for ONNX Runtime.",
    )
    external_data: Literal["auto", "always"] = Field(
        default="auto", description="auto: beside the graph when one file cannot hold all weights."
    )

    @property
    def modules(self) -> set[str]:
        """Modules with code that takes part in the export, besides the model's own."""
        given = [
            reference
            for translation in self.translations.values()
            for reference in (translation.dynamo, translation.torchscript)
        ]
        return {reference.partition(":")[0] for reference in (*given, *self.needs) if reference}


class Check(Section):
    """How hard to compare."""

    tolerance: Tolerance | Literal["auto"] = "auto"
    samples: int = Field(
        default=4,
        ge=1,
        le=64,
        description="At each point; by itself 1 s of processor time beyond the first.",
    )
    seed: int = Field(default=0, ge=0)
    seconds: float = Field(default=60, gt=0, description="Budget for PyTorch's reference outputs.")


class Gates(Section):
    """What refuses: a candidate before it is registered, or a version before it is champion."""

    max_metric_drop: float = Field(
        default=0.0, ge=0, description="ONNX below PyTorch, and below the champion, on the dataset."
    )
    max_size_growth: float = Field(
        default=0.10,
        ge=0,
        description="Simplified file against plain, and version against champion.",
    )
    max_latency_regression: float | None = Field(
        default=0.05, ge=0, description="Over the champion: 0.05 allows 1.05 times its latency."
    )
    min_speedup_vs_pytorch: float | None = Field(
        default=None, gt=0, description="PyTorch's latency over the model's."
    )
    max_p99_ms: float | None = Field(default=None, gt=0, description="At each point of `at`.")
    max_memory_bytes: int | None = Field(
        default=None, gt=0, description="Peak of opening the model and running it once."
    )
    max_cpu_placement: float | None = Field(
        default=None, ge=0, le=1, description="Share of nodes that another provider leaves it."
    )
    longest_seconds: float = Field(
        default=30, gt=0, description="Of timing version and champion until a gate is decided."
    )
    inconclusive: Literal["refuse", "pass"] = Field(
        default="refuse", description="What a gate does that the measurement could not decide."
    )


class Limits(Section):
    """Of each stage's child process."""

    seconds: float = Field(default=600, gt=0)
    memory_gb: float = Field(default=8, gt=0)


class Spec(Section):
    """One model to export, prove and register."""

    name: str = Field(pattern=NAME_PATTERN, description="Registered model name.")
    source: Source
    inputs: dict[str, InputSpec] = Field(min_length=1, description="In the order of forward.")
    dims: dict[str, Dim] = Field(default_factory=dict)
    outputs: dict[str, OutputSpec] = Field(default_factory=dict)
    dataset: Dataset | None = None
    export: Export = Export()
    check: Check = Check()
    benchmark: BenchmarkSpec = BenchmarkSpec()
    gates: Gates = Gates()
    limits: Limits = Limits()
    promote: Literal["auto", "never"] = "auto"

    @model_validator(mode="after")
    def _is_no_version_of_its_source(self) -> Spec:
        if re.match(rf"models:/{re.escape(self.name)}[/@]", self.source.mlflow or ""):
            raise ValueError(
                f"name {self.name} is the name of its source too, and the alias champion would "
                f"move from PyTorch's model to the ONNX one; choose another, as {self.name}-onnx"
            )
        return self

    @field_validator("inputs", mode="before")
    @classmethod
    def _inputs_are_flat(cls, inputs: Any) -> Any:
        return flat_inputs(inputs)

    @model_validator(mode="after")
    def _names_make_arguments(self) -> Spec:
        check_names(self.inputs)
        return self

    @model_validator(mode="after")
    def _dims_are_declared(self) -> Spec:
        used = {
            name
            for input_spec in self.inputs.values()
            for size in input_spec.shape
            for name in names_in(size)
        }
        if missing := sorted(used - set(self.dims)):
            raise ValueError(
                f"dims {', '.join(missing)} stand in a shape and are not declared; "
                f"add e.g. `dims: {{{missing[0]}: {{min: 1, max: 64}}}}`"
            )
        if unused := sorted(set(self.dims) - used):
            raise ValueError(
                f"dims {', '.join(unused)} stand in no input's shape; remove them or use them"
            )
        for field, name, size in self.benchmark.sizes:
            if name not in self.dims or not self.dims[name].holds(size):
                raise ValueError(f"{field} {name}={size} lies outside the declared dims")
        if self.dataset and (unknown := sorted(set(self.dataset.inputs) - set(self.inputs))):
            raise ValueError(
                f"dataset.inputs names {', '.join(unknown)}, which the spec has no input for"
            )
        return self
