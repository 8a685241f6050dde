"""``onnxproof bench``: time any ONNX file, alone or beside another, as the benchmark does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from onnxproof.benchmark.head_to_head import HeadToHeadRequest, compare_models
from onnxproof.benchmark.memory import Stored, memory_of
from onnxproof.benchmark.repetitions import Workload
from onnxproof.commands.bench_target import Subject, subject_of
from onnxproof.errors import BadInput, BenchmarkError, SpecError
from onnxproof.isolation.child import prepare_children, run_in_child
from onnxproof.isolation.machine_lock import alone_on_this_machine
from onnxproof.progress import say
from onnxproof.records import BenchmarkResult, Work
from onnxproof.samples.grid import Sizes
from onnxproof.settings import Settings
from onnxproof.spec import BenchmarkSpec, Limits

KEPT_FOLDERS: Final = 5
PRELOAD: Final = ("onnx", "onnxproof.records")
"""No torch: whoever only times a file may have none."""
SWEEP: Final = (1, 4, 16)


class Bench(NamedTuple):
    """What was found, and the folder that has the samples."""

    result: BenchmarkResult
    folder: Path


class Asked(NamedTuple):
    """What is to be timed, and how."""

    model: str
    against: str | None = None
    points: tuple[Sizes, ...] = ()
    lines: Mapping[str, str] = {}  # of inputs, by name
    section: Mapping[str, Any] = {}  # of ``benchmark``, what is to differ from the model's own


def bench(asked: Asked, settings: Settings) -> Bench:
    """Time ``model``, beside ``against`` where that is given.

    Raises:
        BadInput: There is no such model, or the two do not take the same inputs.
        BenchmarkError: A required provider is not there, or the child failed.
        ServerUnreachable: MLflow does not answer.
    """
    prepare_children(preload=PRELOAD)
    folder = _folder(settings.home)
    say("bench", f"find {asked.model}")
    subjects = [
        subject_of(target, folder / f"model{number}", asked.lines, asked.points)
        for number, target in enumerate(filter(None, (asked.model, asked.against)))
    ]
    workload = _workload(subjects, asked)
    names = _names(subjects)
    work = Work(
        folder=str(folder),
        roots=(str(Path.cwd()),),
        allow=settings.allow,
        metadata={},
        local_code=True,
    )
    needs = subjects[0].spec.export.needs if subjects[0].spec else ()
    models = {name: subject.path for name, subject in zip(names, subjects, strict=True)}
    with alone_on_this_machine(lambda: say("bench", "wait for another benchmark to end")):
        head_to_head = run_in_child(
            compare_models,
            HeadToHeadRequest(workload, work, models, needs=needs, profiled=True),
            failed=BenchmarkError,
            limits=workload.limits,
            log=folder / "logs" / "bench.log",
            doing=f"time {' against '.join(models)}",
        )
        stored = {
            name: Stored(subject.path, subject.size_bytes)
            for name, subject in zip(names, subjects, strict=True)
        }
        result = memory_of(head_to_head.result, workload, work, stored)
    for number in range(len(subjects)):
        shutil.rmtree(folder / f"model{number}", ignore_errors=True)  # the registry has them
    return Bench(result, folder)


def _workload(subjects: Sequence[Subject], asked: Asked) -> Workload:
    first = subjects[0]
    for other in subjects[1:]:
        if other.takes != first.takes:
            raise BadInput(
                f"{first.label} takes {first.takes}, {other.label} {other.takes}; "
                "only models with the same inputs can be timed beside each other"
            )
    own = first.spec.benchmark.model_dump(exclude_unset=True) if first.spec else {}
    points = asked.points or tuple(own.get("at", ({},)))
    fields = {**own, **asked.section, "at": points}
    given = fields.get("throughput", {})
    if given is not None:  # null asks for none
        fields["throughput"] = {**_throughput(first), **given}
    try:
        benchmark = BenchmarkSpec.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise SpecError(
            f"benchmark.{where}: {fault['msg'].removeprefix('Value error, ')}"
        ) from None
    for field, name, size in benchmark.sizes:
        for subject in subjects:
            if name not in subject.dims or not subject.dims[name].holds(size):
                raise BadInput(f"{field} {name}={size} lies outside what {subject.label} takes")
    seed, limits = (first.spec.check.seed, first.spec.limits) if first.spec else (0, Limits())
    return Workload(first.inputs, first.dims, benchmark, seed, limits)


def _throughput(subject: Subject) -> dict[str, Any]:
    """Callers up to the cores; sizes of the dim that all inputs begin with, if a proof has it."""
    asked: dict[str, Any] = {"callers": sorted({1, 2, len(os.sched_getaffinity(0))})}
    begin = {input_spec.shape[0] for input_spec in subject.inputs.values() if input_spec.shape}
    if subject.spec is not None and len(begin) == 1 and (dim := str(*begin)) in subject.dims:
        sizes = [size for size in SWEEP if subject.dims[dim].holds(size)]
        asked |= {"dim": dim, "sizes": sizes}
    return asked


def _names(subjects: Sequence[Subject]) -> list[str]:
    """Labels, told apart where both have one."""
    labels = [subject.label for subject in subjects]
    if len(set(labels)) == len(labels):
        return labels
    return [
        f"{label} ({ordinal})" for label, ordinal in zip(labels, ("first", "second"), strict=False)
    ]


def _folder(home: Path) -> Path:
    """A new one; older ones beyond the newest five are removed."""
    benches = home / "bench"
    folder = benches / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(
            f"cannot make the folder {folder}: {error.strerror}; "
            "set ONNXPROOF_HOME to a folder that can be written"
        ) from None
    for old in sorted(path for path in benches.iterdir() if path.is_dir())[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
    return folder
