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
                each.name,
                f"{each.max_abs_diff:.3g}",
                f"{each.mismatched} of {each.elements}",
                f"{each.atol:.3g}",
                f"{each.rtol:.3g}",
                _number(each.budget_used, ".2g"),
                BASES[each.basis],
            )
            for each in parity
        ],
    )
    besides = table(
        ("output", "dtype", "relative", "ULP", "cosine", "SQNR dB", "same top-1"),
        [
            (
                each.name,
                each.dtype,
                f"{each.max_rel_diff:.3g}",
                _number(each.max_ulp, ".3g"),
                _number(each.cosine, ".9f"),
                _number(each.sqnr_db, ".0f"),
                f"{each.same_top1} of {each.rows}" if each.rows else "",
            )
            for each in parity
        ],
    )
    return join(decisive, besides).rstrip("\n")


def noise_line(reference: Reference) -> list[str]:
    """What the tolerances were made from; nothing where no output is a float."""
    if reference.noise_missing:
        return [f"PyTorch's own noise is not known: {reference.noise_missing}."]
    noise = [f"{each.max_abs:.2g} in {each.name!r}" for each in reference.noise]
    return [f"PyTorch's own distance from float64: {', '.join(noise)}."] if noise else []


def _number(value: float | None, spec: str) -> str:
    return "" if value is None else format(value, spec)
