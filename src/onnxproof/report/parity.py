"""Parity as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from onnxproof.records import OutputParity, Reference
from onnxproof.records.parity import BASES
from onnxproof.report.markdown import join, table


def parity_table(parity: Sequence[OutputParity]) -> str:
    """What decides, then what else there is to know; both fit the width of Prefect's page."""
    decisive = table(
        ("output", "largest difference", "beyond tolerance", "atol", "rtol", "of it used", "from"),
        [
            (
                row.name,
                f"{row.max_abs_diff:.3g}",
                f"{row.mismatched} of {row.elements}",
                f"{row.atol:.3g}",
                f"{row.rtol:.3g}",
                _number(row.budget_used, ".2g"),
                BASES[row.basis],
            )
            for row in parity
        ],
    )
    besides = table(
        ("output", "dtype", "relative", "ULP", "cosine", "SQNR dB", "same top-1"),
        [
            (
                row.name,
                row.dtype,
                f"{row.max_rel_diff:.3g}",
                _number(row.max_ulp, ".3g"),
                _number(row.cosine, ".9f"),
                _number(row.sqnr_db, ".0f"),
                f"{row.same_top1} of {row.rows}" if row.rows else "",
            )
            for row in parity
        ],
    )
    return join(decisive, class_table(parity), besides).rstrip("\n")


def class_table(parity: Sequence[OutputParity]) -> str:
    """What elements of each size were held to; empty where all were held to one number."""
    rows = [
        (
            row.name,
            f"{found.low:.3g}",
            found.elements,
            f"{found.rms:.3g}",
            f"{found.max_abs_diff:.3g}",
            f"{found.atol:.3g}",
            f"{found.rms_diff:.3g}",
            _number(found.max_rms_diff, ".3g"),
        )
        for row in parity
        if len(row.classes) + len(row.fills) > 1
        for found in row.classes
    ]
    rows += [
        (
            row.name, f"fill {fill.value:.3g}", fill.elements, "",
            f"{fill.max_abs_diff:.3g}", f"{fill.atol:.3g}", "", "",
        )
        for row in parity
        for fill in row.fills
    ]  # fmt: skip
    if not rows:
        return ""
    head = ("output", "magnitude from", "elements", "RMS", "largest difference", "atol",
            "RMS of differences", "at most")  # fmt: skip
    return table(head, rows)


def noise_line(reference: Reference) -> list[str]:
    """What the tolerances were made from; nothing where no output is a float."""
    if reference.noise_missing:
        return [f"PyTorch's own noise is not known: {reference.noise_missing}."]
    noise = [f"{floor.max_abs:.2g} in {floor.name!r}" for floor in reference.noise]
    return [f"PyTorch's own distance from float64: {', '.join(noise)}."] if noise else []


def drawn_line(reference: Reference) -> str:
    """Which values each input had, in one line: what is proven is proven for such values."""
    parts = []
    for row in reference.drawn:
        ends = "" if row.least is None else f" from {row.least:.3g} to {row.largest:.3g}"
        edges = f"; edges: {', '.join(row.edges)}" if row.edges else ""
        parts.append(f"`{row.name}` {row.values}{ends}{edges}")
    return f"Values that were drawn: {'. '.join(parts)}." if parts else ""


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)
