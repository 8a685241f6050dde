"""The stages of a run, each done once and measured, and the bare exporter beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from benchmarks.coverage_rows import Cell, failure_class
from onnxproof.check.stage import check_candidate
from onnxproof.errors import ExportError, StageError
from onnxproof.export.stage import export_onnx
from onnxproof.isolation.child import run_in_child
from onnxproof.records import (
    BenchmarkResult,
    Candidate,
    CheckResult,
    Divergence,
    Run,
    SearchResult,
    SimplifierName,
)
from onnxproof.samples.generate import draw
from onnxproof.samples.grid import dynamic_axes, example_sizes
from onnxproof.simplify.stage import simplify
from onnxproof.spec import Spec, StrategyName
from onnxproof.spec.dims import Dim, evaluate

BARE: Final = ("bare dynamo", "bare trace")
POLL_SECONDS: Final = 0.05
Result = TypeVar("Result")


@dataclass(slots=True)
class Cost:
    """What one stage took."""

    seconds: float = 0.0
    peak_gb: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Wall clock, and the resident memory of the largest process below this one."""
    cost, over, start = Cost(), threading.Event(), time.monotonic()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            cost.peak_gb = max(cost.peak_gb, _largest_gb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield cost
    finally:
        over.set()
        watcher.join()
        cost.seconds = time.monotonic() - start


def _largest_gb() -> float:
    sizes = [0.0]
    for process in psutil.Process().children(recursive=True):
        try:
            sizes.append(process.memory_info().rss / 1e9)
        except psutil.Error:
            continue  # it ended between the list and the look
    return max(sizes)


@dataclass
class Measured:
    """The stages that the search calls; what was done once is not done again."""

    run: Run
    costs: dict[str, Cost] = field(default_factory=dict)
    results: dict[str, object] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)

    def export(self, run: Run, strategy: StrategyName, variant: str = "") -> Candidate:
        """The graph that a strategy gives."""
        return self._once(
            f"export {strategy} {variant}",
            lambda: export_onnx(run, strategy, variant),
        )

    def simplify(self, run: Run, candidate: Candidate, simplifier: SimplifierName) -> Candidate:
        """What the simplifier makes of it."""
        return self._once(
            f"simplify {candidate.label} {simplifier}",
            lambda: simplify(run, candidate, simplifier),
        )

    def check(self, run: Run, candidate: Candidate) -> CheckResult:
        """Verdicts on it."""
        return self._once(
            f"check {candidate.label}",
            lambda: check_candidate(run, candidate),
        )

    def localize(
        self,
        run: Run,  # noqa: ARG002
        candidate: Candidate,  # noqa: ARG002
        check: CheckResult,  # noqa: ARG002
        plain: Candidate | None = None,
    ) -> Divergence:
        """Nothing: whether a graph is right is the question, not where it is not."""
        against = plain.label if plain else "PyTorch"
        return Divergence(against=against, reason="could not be localized: it was not asked")

    def benchmark(
        self,
        run: Run,  # noqa: ARG002
        candidates: tuple[Candidate, ...],  # noqa: ARG002
    ) -> BenchmarkResult:
        """Nothing: whether a graph is right is the question here."""
        return BenchmarkResult(latencies=(), seconds=0)

    def bare(self, *, dynamo: bool) -> Candidate:
        """What the exporter alone gives."""
        return run_in_child(
            export_bare,
            self.run,
            dynamo,
            failed=ExportError,
            limits=self.run.spec.limits,
            log=Path(self.run.work.path("logs", f"bare-{dynamo}.log")),
        )

    def cost(self) -> Cost:
        """Of every stage used since the last call."""
        costs = [self.costs[name] for name in self.used]
        self.used.clear()
        return Cost(
            seconds=sum(cost.seconds for cost in costs),
            peak_gb=max((cost.peak_gb for cost in costs), default=0.0),
        )

    def _once(self, name: str, stage: Callable[[], Result]) -> Result:
        self.used.append(name)
        if name not in self.results:
            with measured() as self.costs[name]:
                try:
                    self.results[name] = stage()
                except StageError as error:
                    self.results[name] = error
        result = self.results[name]
        if isinstance(result, StageError):
            raise result
        return result  # type: ignore[return-value]  # a name has one stage


def cell_of(search: SearchResult, stages: Measured) -> Cell:
    """What the search came to; a failure's reason is that of the first attempt that gave one."""
    cost = stages.cost()
    if search.chosen is not None:
        return Cell(
            end="proven",
            chosen=search.chosen.label,
            workarounds=search.chosen.workarounds,
            seconds=cost.seconds,
            peak_gb=cost.peak_gb,
        )
    failed = next(attempt for attempt in search.attempts if attempt.outcome == "failed")
    return _unproven(failed.reason, cost, end="failed")


def bare_cell(way: str, stages: Measured) -> Cell:
    """The exporter called by hand, and its graph held to the same check."""
    with measured() as cost:
        try:
            verdict = check_candidate(stages.run, stages.bare(dynamo=way == "bare dynamo"))
        except StageError as error:
            reason = str(error)
            verdict = None
    if verdict is None:
        return _unproven(reason, cost, end="failed")
    if verdict.proven:
        return Cell(end="proven", seconds=cost.seconds, peak_gb=cost.peak_gb)
    return _unproven(verdict.reason, cost, end="wrong")


def _unproven(reason: str, cost: Cost, *, end: Any) -> Cell:
    return Cell(
        end=end,
        failure=failure_class(reason),
        reason=reason[:600],
        seconds=cost.seconds,
        peak_gb=cost.peak_gb,
    )


def export_bare(run: Run, dynamo: bool) -> Candidate:
    """In the child: what a person writes who reads the documentation of ``torch.onnx.export``."""
    import onnx
    import torch

    from onnxproof.export.failure import explain
    from onnxproof.graph.finalize import name_dims, save_candidate
    from onnxproof.source.module import build_module

    spec, work, loaded = run.spec, run.work, run.loaded
    strategy: StrategyName = "dynamo" if dynamo else "trace"
    source = build_module(spec, work)
    args, kwargs = source.arguments(draw(spec.inputs, example_sizes(spec.dims), 0, 0))
    dims: dict[str, Any]
    if dynamo:
        shapes = _shapes(spec)
        dims = {"dynamic_shapes": shapes if kwargs else tuple(shapes.values())}
    else:
        dims = {"dynamic_axes": {name: axes for name, axes in dynamic_axes(spec).items() if axes}}
    path = Path(work.path("bare.onnx"))
    try:
        torch.onnx.export(
            source.module,
            args,
            path,
            kwargs=kwargs,
            dynamo=dynamo,
            input_names=list(spec.inputs),
            output_names=[output.name for output in loaded.reference.outputs],
            verbose=False,
            **dims,
        )
    except Exception as error:
        fault = explain(error, strategy, work.roots)
        raise ExportError(f"{strategy}: {fault.reason}") from error
    model = onnx.load(path)
    name_dims(model.graph.input, loaded.reference.inputs)  # their names are not asked of it
    name_dims(model.graph.output, loaded.reference.outputs)
    return save_candidate(model, work, strategy=strategy, simplifier="none", seconds=0)


def _shapes(spec: Spec) -> dict[str, Any]:
    import torch

    def dim(name: str, dim_spec: Dim) -> Any:
        if dim_spec.multiple_of == 1:
            return torch.export.Dim(name, min=dim_spec.min, max=dim_spec.max)
        step = dim_spec.multiple_of
        least, most = dim_spec.smallest // step, dim_spec.largest // step
        return step * torch.export.Dim(f"{name}_{step}th", min=least, max=most)

    dims = {name: dim(name, dim_spec) for name, dim_spec in spec.dims.items()}
    return {
        name: {axis: evaluate(size, dims) for axis, size in axes.items()} or None
        for name, axes in dynamic_axes(spec).items()
    }
