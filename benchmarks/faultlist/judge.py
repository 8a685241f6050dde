"""Put a fault where it belongs, let the stages of onnxproof run, and see what catches it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.faultlist.breakage import no_weight_match
from benchmarks.faultlist.fault import Fault, Stage, Victim
from benchmarks.faultlist.subjects import SUBJECTS
from onnxproof.benchmark.stage import measure_in_child
from onnxproof.check.stage import check_in_child
from onnxproof.errors import (
    BadInput,
    BenchmarkError,
    CheckError,
    ExportError,
    LoadError,
    OnnxproofError,
    SimplifyError,
    StageError,
)  # fmt: skip
from onnxproof.export.stage import export_in_child
from onnxproof.isolation.child import run_in_child
from onnxproof.records import Candidate, CheckResult, Loaded, Run, Work
from onnxproof.reference.stage import build_reference
from onnxproof.simplify.stage import simplify_in_child
from onnxproof.spec import Limits, StrategyName
from onnxproof.usercode.source_lines import without_folders

ROOT: Final = Path(__file__).parents[2]
FAILED: Final[dict[Stage, type[StageError]]] = {
    "load": LoadError,
    "export": ExportError,
    "simplify": SimplifyError,
    "check": CheckError,
    "benchmark": BenchmarkError,
}
Breakage = Callable[[], AbstractContextManager[object]]


class Found(NamedTuple):
    """What became of a fault."""

    caught: bool
    verdict: str  # what refused: a verdict of the check, or how a stage ended
    stage: str
    reason: str
    seconds: float  # of the stages from the fault on
    victim: Victim | None = None  # the damaged files, where there are some
    without_weights: str = ""  # the verdict, if weights were not matched by bytes


class Under(NamedTuple):
    """A stage, and what is broken while it runs."""

    breakage: Breakage | None
    stage: Callable[..., Any]
    arguments: tuple[Any, ...]


def run_under(under: Under) -> Any:
    """In the child: the stage's own result."""
    before = Path.cwd()
    try:
        with under.breakage() if under.breakage else nullcontext():
            if isinstance(under.arguments[-1], Candidate):
                os.chdir(under.arguments[0].work.folder)  # onnxsim looks for external data here
            return under.stage(*under.arguments)
    finally:
        os.chdir(before)


class Bench:
    """Exports, each made once, and copies of them to damage."""

    def __init__(self, folder: Path, *, children: bool) -> None:
        self.folder = folder
        self.children = children
        self.victims: dict[tuple[str, StrategyName], Victim] = {}
        self.copies = 0

    def judge(self, fault: Fault) -> Found:
        """Run every stage that follows the fault, until one refuses or all have passed."""
        start = time.monotonic()
        victim: Victim | None = None
        stage, without = "check", ""
        try:
            victim = self._export(fault).copy(self._new_folder())
            start = time.monotonic()
            asked, result = self._after_export(fault, victim)
        except OnnxproofError as error:
            verdict, stage, reason = _end(error), error.stage, str(error)
        else:
            verdict, reason = _refusal(result)
        seconds = time.monotonic() - start
        if verdict == "weights" and victim is not None:
            without = _refusal(self._check(victim, asked, no_weight_match))[0]
        roots = (str(self.folder), str(ROOT))
        return Found(
            caught=bool(verdict),
            verdict=verdict,
            stage=stage if verdict else "",
            reason=without_folders(reason, roots)[:400],
            seconds=seconds,
            victim=victim,
            without_weights=without,
        )

    def _after_export(
        self, fault: Fault, victim: Victim
    ) -> tuple[tuple[Run, Candidate], CheckResult | None]:
        spec, work, loaded, candidate = victim
        if fault.inject:
            candidate = fault.inject(victim)
        if fault.stage == "simplify":
            request = (Run(spec, work, loaded), candidate)
            candidate = self._run("simplify", fault, victim, simplify_in_child, request)
        asked = (Run(spec, work, loaded), candidate)
        if fault.stage == "benchmark":
            timed = (spec, work, (candidate,))
            self._run("benchmark", fault, victim, measure_in_child, timed)
            return asked, None
        result: CheckResult = self._run("check", fault, victim, check_in_child, asked)
        return asked, result

    def _check(
        self, victim: Victim, asked: tuple[Run, Candidate], breakage: Breakage
    ) -> CheckResult:
        """Again, with another breakage than the fault's own."""
        fault = Fault("", "", "", "", broken=breakage)
        result: CheckResult = self._run("check", fault, victim, check_in_child, asked)
        return result

    def _export(self, fault: Fault) -> Victim:
        """The export that the fault is put into; made anew where it belongs into one."""
        key, early = (fault.subject, fault.strategy), fault.stage in ("load", "export")
        if early or key not in self.victims:
            victim = self._made(fault)
            if early:
                return victim
            self.victims[key] = victim
        return self.victims[key]

    def _made(self, fault: Fault) -> Victim:
        spec = SUBJECTS[fault.subject].spec()
        folder = self._new_folder()
        folder.mkdir(parents=True)
        _write_other_weights(folder)
        work = Work(
            folder=str(folder), roots=(str(folder), str(ROOT)), allow=("benchmarks",), metadata={},
            local_code=False,
        )  # fmt: skip
        bare = Victim(spec, work, None, None)  # type: ignore[arg-type]  # made in a moment
        loaded: Loaded = self._run("load", fault, bare, build_reference, (spec, work))
        request = (Run(spec, work, loaded), fault.strategy)
        candidate: Candidate = self._run("export", fault, bare, export_in_child, request)
        return Victim(spec, work, loaded, candidate)

    def _run(
        self,
        name: Stage,
        fault: Fault,
        victim: Victim,
        stage: Callable[..., Any],
        arguments: tuple[Any, ...],
    ) -> Any:
        here = name == fault.stage
        under = Under(fault.broken if here else None, stage, arguments)
        limits: Limits = (fault.limits if here else None) or victim.spec.limits
        if not self.children and not (here and fault.limits):
            return run_under(under)
        log = Path(victim.work.path("logs", f"{name}.log"))
        return run_in_child(run_under, under, failed=FAILED[name], limits=limits, log=log)

    def _new_folder(self) -> Path:
        self.copies += 1
        return self.folder / f"{os.getpid()}-{self.copies}"


def _refusal(result: CheckResult | None) -> tuple[str, str]:
    """The first verdict that failed, and what it says."""
    if result is None:
        return "", "nothing refused it"
    return next((v.name for v in result.verdicts if v.outcome == "failed"), ""), result.reason


def _end(error: OnnxproofError) -> str:
    if isinstance(error, StageError):
        return error.end
    return "bad input" if isinstance(error, BadInput) else "refused"


def _write_other_weights(folder: Path) -> None:
    """Weights of no model here."""
    import torch
    from safetensors.torch import save_file

    save_file({"layer.weight": torch.ones(3, 4)}, folder / "weights.safetensors")
