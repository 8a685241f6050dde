"""The operators of a candidate, in a file beside its graph."""

from __future__ import annotations

from pathlib import Path

from onnxproof.artifact import atomic_write
from onnxproof.records import OperatorReport, Work


def save_report(report: OperatorReport, work: Work, label: str) -> None:
    """Keep the operators of a candidate beside its graph, for the proof."""
    with atomic_write(_path(work, label)) as draft:
        draft.write_text(report.model_dump_json(indent=2), encoding="utf-8")


def read_report(work: Work, label: str) -> OperatorReport | None:
    """The operators of a candidate; None for one that no exporter made."""
    path = _path(work, label)
    if not path.is_file():
        return None
    return OperatorReport.model_validate_json(path.read_text(encoding="utf-8"))


def _path(work: Work, label: str) -> Path:
    return Path(work.path("candidates", label, "operators.json"))
