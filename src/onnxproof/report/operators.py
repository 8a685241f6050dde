"""An operator report for people: rows of a table, and what the rows leave out."""

from __future__ import annotations

from collections.abc import Mapping

from onnxproof.records import Operator, OperatorReport


def operator_rows(report: OperatorReport) -> list[dict[str, str | int]]:
    """One row for each PyTorch operator."""
    nothing = "has a translation" if report.fault else "nothing: folded or merged"
    return [
        {
            "operator": operator.name,
            "uses": operator.count,
            "ONNX": operator.fault or onnx_text(operator.onnx) or nothing,
            "where": locations_text(operator),
        }
        for operator in report.operators
    ]


def operator_notes(report: OperatorReport) -> list[str]:
    """What the rows do not say."""
    notes = []
    if report.others:
        notes.append(f"Of no single operator: {onnx_text(report.others)}.")
    if report.unknown:
        notes.append(f"{report.unknown[0].upper()}{report.unknown[1:]}.")
    return notes


def onnx_text(nodes: Mapping[str, int]) -> str:
    """``2 Gemm, Relu``."""
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in nodes.items())


def locations_text(operator: Operator) -> str:
    """``net.py:12 in layers.0``, and the other places that are known."""
    texts = []
    for location in operator.locations:
        module = f" in {location.module}" if location.module else ""
        texts.append(f"{location.line or 'line not known'}{module}")
    return "; ".join(texts) + (" ..." if operator.count > len(operator.locations) else "")
