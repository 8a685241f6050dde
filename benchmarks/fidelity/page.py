"""docs/benchmark-fidelity.md from its rows."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from benchmarks.fidelity.rows import COMPARISONS_BY_PART, Row
from benchmarks.json_lines import version_lines
from onnxproof.report.markdown import table

MOST_APART: Final = 0.03
MOST_SECONDS: Final = 20.0
HEAD: Final = """# Fidelity of the benchmark

What the benchmark says where the answer is known. `python -m benchmarks.fidelity` measures what has
no row in [its file](benchmark-fidelity.jsonl) yet and writes this page. A comparison times two
graphs as a promotion and `onnxproof bench --against` do, in a child process of its own, at the
default budget of 5 s.
"""
COMPARISONS: Final = """
## Comparisons

The ratio is the median over the comparisons of a row, the width the median width of their 99 %
intervals; busy counts those with the quality warning `machine busy`. An A/A comparison times a
graph against itself, while a second process loads the same core for a second and leaves it for a
second, on average.
"""
MEDIANS: Final = """
## Medians

Of a benchmark of two sessions of the model, over a plain loop in a process of its own right after,
which opens five sessions; the median of nine such ratios.
"""


class Claim(NamedTuple):
    """A number with its bound."""

    text: str
    found: str
    bound: str
    holds: bool


def render(rows: Mapping[str, Row], processes: str) -> str:
    """The page.

    Args:
        rows: By name.
        processes: What ``benchmarks.fidelity.processes`` printed, and what was made of it.
    """
    every = list(rows.values())
    parts = [
        HEAD,
        table(
            ("what", "found", "bound", ""),
            [(*claim[:3], _verdict(claim)) for claim in claims(rows)],
        ),
        COMPARISONS,
        table(
            (
                "first",
                "over second",
                "comparisons",
                "slower",
                "faster",
                "ratio",
                "width",
                "busy",
            ),
            _comparisons(every),
        ),
        MEDIANS,
        table(
            ("model", "p50 ms", "over a plain loop"),
            [
                (median.first, f"{median.p50_ms:.3g}", f"{median.ratio:.3f}")
                for median in _of(every, "median")
            ],
        ),
        "\n## Cost\n",
        table(
            ("demo model, batch 1", "runners", "seconds", "repetitions", "rounds"),
            [
                (cost.first, cost.second, f"{cost.seconds:.1f}", cost.repetitions, cost.rounds)
                for cost in _of(every, "cost")
            ],
        ),
        "",
        processes,
        "\n".join(version_lines(every, "rows")),
        f"- {', '.join(sorted({row.cpu_model for row in every if row.cpu_model}))}",
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _verdict(claim: Claim) -> str:
    if "of 0" in claim.found or claim.found.startswith("0.0 s"):
        return "not measured yet"
    return "holds" if claim.holds else "**does not hold**"


def claims(rows: Mapping[str, Row]) -> list[Claim]:
    """What is claimed, with what was found."""
    every = list(rows.values())
    same, five, two = (_of(every, part) for part in ("aa", "slower by 5 %", "slower by 2 %"))
    medians, costs = _of(every, "median"), _of(every, "cost")
    near = sum(abs(median.ratio - 1) <= MOST_APART for median in medians)
    longest = max((cost.seconds for cost in costs), default=0.0)
    return [
        _share("A/A: called slower", same, 0.01, most=True),
        _share("slower by 5 %: called slower", five, 0.95, most=False),
        _share("slower by 2 %: called slower", two, 0.60, most=False),
        Claim(
            "the median is within 3 % of a plain loop's",
            f"{near} of {len(medians)} models",
            "9 of 10",
            len(medians) == COMPARISONS_BY_PART["median"] and near >= 9,
        ),
        Claim(
            "three runners at the default budget",
            f"{longest:.1f} s at most",
            f"{MOST_SECONDS:g} s",
            len(costs) == COMPARISONS_BY_PART["cost"] and longest <= MOST_SECONDS,
        ),
    ]


def _share(text: str, rows: Sequence[Row], bound: float, *, most: bool) -> Claim:
    called = sum(row.called == "slower" for row in rows)
    whole = rows and len(rows) == COMPARISONS_BY_PART[rows[0].part]
    share = called / len(rows) if rows else 0.0
    word = "at most" if most else "at least"
    holds = bool(whole) and (share <= bound if most else share >= bound)
    return Claim(text, f"{called} of {len(rows)}", f"{word} {100 * bound:g} %", holds)


def _comparisons(rows: Iterable[Row]) -> Iterable[tuple[object, ...]]:
    pairs: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.part not in ("median", "cost"):
            pairs[row.first, row.second].append(row)
    for (first, second), found in pairs.items():
        called = Counter(comparison.called for comparison in found)
        yield (
            first,
            "itself" if first == second else second,
            len(found),
            called["slower"],
            called["faster"],
            f"{statistics.median(comparison.ratio for comparison in found):.4f}",
            f"{statistics.median(comparison.high - comparison.low for comparison in found):.4f}",
            sum("machine busy" in comparison.quality_warnings for comparison in found),
        )


def _of(rows: Iterable[Row], part: str) -> list[Row]:
    return [row for row in rows if row.part == part]


def holds(rows: Mapping[str, Row]) -> bool:
    """Whether every number is within its bound."""
    return all(claim.holds for claim in claims(rows))
