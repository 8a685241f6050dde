"""The part of a spec that says what to time, where, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from onnxproof.spec.base import REFERENCE_PATTERN, Section
from onnxproof.spec.tolerance import Tolerance

CPU: Final = "CPUExecutionProvider"


class Provider(Section):
    """An ONNX Runtime execution provider, by its full name."""

    name: str = Field(default=CPU, pattern=r"^\w+ExecutionProvider$")
    required: bool = True
    options: dict[str, str] = Field(default_factory=dict)
    tolerance: Tolerance | Literal["auto"] = Field(
        default="auto",
        description="auto: the check's own, and what the provider's rounding does to PyTorch.",
    )
    library: str | None = Field(
        default=None,
        pattern=REFERENCE_PATTERN,
        description="Of a plug-in: module:callable that returns the path of its library.",
    )


class Elsewhere(Section):
    """Providers of another machine, where a deployment of the flow measure-version waits."""

    deployment: str = Field(
        pattern=r"^measure-version/[\w.-]+$", description="As Prefect has it: measure-version/gpu."
    )
    providers: tuple[Provider, ...] = Field(min_length=1)
    seconds: float = Field(
        default=1800, gt=0, description="To have ended in, with the wait for a worker."
    )

    @property
    def required(self) -> bool:
        """Whether a run without this measurement is a failure."""
        return any(provider.required for provider in self.providers)


class ThroughputSpec(Section):
    """Calls a second: over sizes of one dim, and of several callers at once."""

    dim: str = Field(default="batch", description="Its size is how many items a call has.")
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(), description="To sweep over.")
    callers: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        default=(), description="Threads that call one session at once, at the first of `at`."
    )
    seconds: float = Field(default=0.5, gt=0, description="Of each.")

    @model_validator(mode="after")
    def _asks_something(self) -> ThroughputSpec:
        if not self.sizes and not self.callers:
            raise ValueError("benchmark.throughput asks nothing; give sizes, callers or both")
        return self


class BenchmarkSpec(Section):
    """What to time, and for how long."""

    providers: tuple[Provider, ...] = Field(default=(Provider(),), min_length=1)
    at: tuple[dict[str, int], ...] = Field(
        default=({},), description="Dims; the rest at example size."
    )
    threads: int = Field(default=1, ge=1)
    seconds: float = Field(
        default=5, gt=0, description="For each point of `at`, all runners together."
    )
    samples: int | None = Field(default=None, ge=1, description="Rounds, instead of seconds.")
    torch_compile: bool = Field(
        default=False, description="Time torch.compile too; it takes a C++ compiler."
    )
    cpus: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None, min_length=1, description="Processors to stay on; all of them by default."
    )
    throughput: ThroughputSpec | None = None
    elsewhere: tuple[Elsewhere, ...] = Field(
        default=(), description="Once registered, measured on other machines too."
    )

    @property
    def sizes(self) -> Iterator[tuple[str, str, int]]:
        """Every size that is asked for: the field, the dim, the size."""
        for point in self.at:
            for name, size in point.items():
                yield "benchmark.at", name, size
        if self.throughput is not None:
            for size in self.throughput.sizes:
                yield "benchmark.throughput.sizes", self.throughput.dim, size

    @model_validator(mode="after")
    def _threads_have_processors(self) -> BenchmarkSpec:
        if self.cpus is not None and len(set(self.cpus)) < self.threads:
            raise ValueError(
                f"benchmark.cpus names {len(set(self.cpus))} processors for {self.threads} threads"
            )
        return self

    @model_validator(mode="after")
    def _deployments_differ(self) -> BenchmarkSpec:
        names = [asked.deployment for asked in self.elsewhere]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"benchmark.elsewhere names {twice[0]} twice; give that entry all providers"
            )
        return self

    @property
    def modules(self) -> set[str]:
        """Modules that say where the libraries of plug-ins are, of this machine."""
        return {
            provider.library.partition(":")[0] for provider in self.providers if provider.library
        }
