"""What a person writes: one YAML file that names a model, its inputs and what must hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from onnxproof.dims import Dim, names_in
from onnxproof.errors import SpecError
from onnxproof.tensors import InputSpec

Strategy = Literal["dynamo", "trace", "script"]
NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
"""MLflow refuses ``/ : . % " '`` in the name of a logged model (mlflow 3.17, its naming rules)."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Section):
    """A checkpoint file beside the spec or below the current folder."""

    path: str = Field(description=".safetensors, or a .pt that loads with weights_only=True.")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class Source(_Section):
    """Where the ``nn.Module`` comes from."""

    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:callable")
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Arguments of the factory.")
    weights: Weights | None = None
    call: Literal["auto", "positional", "keyword"] = "auto"
    trust: Literal["none", "pickle"] = Field(
        default="none", description="pickle: let a .pt checkpoint run the code it carries."
    )


class Tolerance(_Section):
    """An element passes when ``|onnx - torch| <= atol + rtol * |torch|``."""

    atol: float = Field(ge=0)
    rtol: float = Field(ge=0)


class OutputSpec(_Section):
    """A named output, in the order in which ``forward`` returns them."""

    tolerance: Tolerance | Literal["auto"] = "auto"


class Dataset(_Section):
    """Real rows with labels; the metric is taken on PyTorch and on the ONNX model."""

    path: str = Field(description=".npz file")
    inputs: dict[str, str] = Field(min_length=1, description="Input name to array name.")
    labels: str
    metric: Literal["top1"] = "top1"


class Export(_Section):
    """How to leave PyTorch."""

    strategies: tuple[Strategy, ...] = Field(default=("dynamo", "trace", "script"), min_length=1)
    opset: Literal["auto"] | Annotated[int, Field(ge=13, le=23)] = "auto"
    search: Literal["first", "fastest"] = "first"
    min_onnxruntime: str = Field(default="1.18", pattern=r"^\d+\.\d+$")
    static: bool = Field(default=False, description="Fix every dim at its example size.")


class Check(_Section):
    """How hard to compare."""

    tolerance: Tolerance | Literal["auto"] = "auto"
    samples: int = Field(
        default=4, ge=1, le=64, description="Samples at each point of the shape grid."
    )
    seed: int = Field(default=0, ge=0)
    seconds: float = Field(default=60, gt=0, description="Budget for PyTorch's reference outputs.")


class Provider(_Section):
    """An ONNX Runtime execution provider, by its full name."""

    name: str = Field(default="CPUExecutionProvider", pattern=r"^\w+ExecutionProvider$")
    required: bool = True
    options: dict[str, str] = Field(default_factory=dict)


class BenchmarkSpec(_Section):
    """What to time, and for how long."""

    providers: tuple[Provider, ...] = Field(default=(Provider(),), min_length=1)
    at: tuple[dict[str, int], ...] = Field(
        default=({},), description="Dims; the rest at example size."
    )
    threads: int = Field(default=1, ge=1)
    seconds: float = Field(
        default=5, gt=0, description="For each point of `at`, all contenders together."
    )
    samples: int | None = Field(default=None, ge=1, description="Rounds, instead of seconds.")


class Gates(_Section):
    """What refuses."""

    max_metric_drop: float = Field(
        default=0.0, ge=0, description="ONNX below PyTorch on the dataset."
    )
    max_size_growth: float = Field(default=0.10, ge=0, description="Simplified file against plain.")


class Limits(_Section):
    """Of each stage's child process."""

    seconds: float = Field(default=600, gt=0)
    memory_gb: float = Field(default=8, gt=0)


class Spec(_Section):
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
    def _dims_are_declared(self) -> Spec:
        used = {
            name for each in self.inputs.values() for size in each.shape for name in names_in(size)
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
        for point in self.benchmark.at:
            for name, size in point.items():
                if name not in self.dims or not self.dims[name].holds(size):
                    raise ValueError(f"benchmark.at {name}={size} lies outside the declared dims")
        if self.dataset and (unknown := sorted(set(self.dataset.inputs) - set(self.inputs))):
            raise ValueError(
                f"dataset.inputs names {', '.join(unknown)}, which the spec has no input for"
            )
        return self


def parse_spec(data: object, origin: str = "spec") -> Spec:
    """Validate what was read from ``origin``.

    Raises:
        SpecError: With one line for each fault: where, what was found, what is valid.
    """
    if not isinstance(data, dict):
        raise SpecError(
            f"{origin}: a spec is a mapping with name, source and inputs; "
            f"found {type(data).__name__}"
        )
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(_explain(error, origin)) from None


def read_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """Read a YAML spec; each override is ``a.b=value``, the value in YAML.

    Raises:
        SpecError: The file or an override cannot be read, or the spec is not valid.
    """
    return parse_spec(override(_read_yaml(path), overrides), str(path))


def _read_yaml(path: Path) -> object:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {' '.join(str(error).split())}") from None


def override(data: object, overrides: Sequence[str]) -> object:
    """``data`` with each ``a.b=value`` applied; ``data`` itself stays unchanged.

    Raises:
        SpecError: An override has no ``=``, or goes through something that is no mapping.
    """
    import copy

    import yaml

    changed = copy.deepcopy(data)
    for line in overrides:
        dotted, equals, text = line.partition("=")
        *parents, last = dotted.strip().split(".")
        if not equals or not last:
            raise SpecError(f"cannot read the override {line!r}; write a.b=value")
        place = changed
        for key in parents:
            place = place.setdefault(key, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise SpecError(f"override {line!r}: {'.'.join(parents)} is not a mapping in this spec")
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecError(f"override {line!r}: {text!r} is not YAML") from None
    return changed


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or "spec"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown key; valid here: {', '.join(_keys_beside(fault['loc']))}"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            message = f"{message}; found {fault['input']!r}"
        lines.append(f"{where}: {message}")
    return f"{origin} is not valid. " + "; ".join(lines)


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Keys that the schema has where ``location`` points, for the message about an unknown one."""
    schema = Spec.model_json_schema()
    place: Any = schema
    for part in location[:-1]:
        place = (
            place.get("properties", {}).get(part)
            or place.get("additionalProperties")
            or place.get("items")
            or {}
        )
        options = place.get("anyOf", [place])
        reference = next((option["$ref"] for option in options if "$ref" in option), None)
        place = schema["$defs"][reference.rsplit("/", 1)[1]] if reference else place
    return sorted(place.get("properties", {}))
