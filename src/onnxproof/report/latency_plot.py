"""Latencies as pictures: of a terminal, and as a PNG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from onnxproof.artifact import atomic_write
from onnxproof.records import BenchmarkResult

PERCENTS: Final = tuple(range(0, 100, 2))
"""Of calls; the slowest fiftieth would squeeze all others together."""
LONGEST: Final = 2.0
"""Medians that are shown: a busy machine's tail would leave the curves no room."""
MARKDOWN_COLUMNS: Final = 80
MARKERS: Final = ("*", "o", "+", "x", "#", "@")
PLAIN: Final = str.maketrans("─│┌┐└┘├┤┬┴┼", "-|+++++++++")
"""Without colors a plot is ASCII: a page takes other letters from another font, and wider."""
Curves = Mapping[str, Sequence[float]]
"""Milliseconds of all calls, by what a curve is called."""


def curves(result: BenchmarkResult, folder: Path) -> dict[str, Curves]:
    """Samples by place and shape, and in each by runner, as they were written down."""
    from pyarrow import parquet

    if result.samples is None or not (folder / result.samples.path).is_file():
        return {}
    found: dict[str, dict[str, list[float]]] = {}
    filters = [("part", "=", "loop")]
    for row in parquet.read_table(folder / result.samples.path, filters=filters).to_pylist():
        panel = f"{row['where']}, {row['dims'] or 'the only shape'}"
        found.setdefault(panel, {}).setdefault(row["runner"], []).append(row["milliseconds"])
    return dict(found)


def in_markdown(result: BenchmarkResult, folder: Path | None) -> Iterator[str]:
    """Each plot as a block of text; none where the samples are not in ``folder``."""
    if folder is not None:
        for plot in for_terminal(curves(result, folder), MARKDOWN_COLUMNS, colored=False):
            yield f"```text\n{plot.rstrip()}\n```"


def for_terminal(panels: Mapping[str, Curves], width: int, *, colored: bool) -> Iterator[str]:
    """A plot for each panel: how many of the calls end within how many milliseconds."""
    import numpy as np
    import plotext

    for title, panel in panels.items():
        plotext.clear_figure()
        plotext.theme("clear")
        reach: list[float] = []
        for number, (label, samples) in enumerate(panel.items()):
            ends = np.percentile(samples, PERCENTS).tolist()
            color = {"color": ("blue", "red", "green", "orange")[number % 4]} if colored else {}
            marker = "braille" if colored else MARKERS[number % len(MARKERS)]
            reach.append(min(ends[-1], LONGEST * ends[len(ends) // 2]))
            plotext.plot(ends, PERCENTS, label=label, marker=marker, **color)
        plotext.plotsize(min(width, 100), 16)
        plotext.xlim(None, max(reach))
        plotext.title(title)
        plotext.xlabel("ms")
        plotext.yticks((0, 25, 50, 75, 98), ("0 %", "25 %", "50 %", "75 %", "98 %"))
        plot = plotext.build()
        yield plot if colored else plotext.uncolorize(plot).translate(PLAIN)


def save_png(result: BenchmarkResult, panels: Mapping[str, Curves], path: Path) -> None:
    """The same panels, and below them each ratio with its interval."""
    import numpy as np
    from matplotlib.figure import Figure

    rows = len(panels) + bool(result.ratios)
    figure = Figure(figsize=(8, 3.2 * len(panels) + 1.2 + 0.4 * len(result.ratios)), dpi=120)
    heights = [3.0] * len(panels) + [0.8 + 0.4 * len(result.ratios)] * bool(result.ratios)
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=heights)[:, 0]
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        for label, samples in panel.items():
            axis.plot(np.percentile(samples, PERCENTS), PERCENTS, label=label)
        axis.set(title=title, xlabel="ms", ylabel="% of calls", ylim=(0, 100))
        axis.legend(loc="lower right", frameon=False)
        axis.grid(alpha=0.3)
    if result.ratios:
        axis = axes[-1]
        for number, ratio in enumerate(result.ratios):
            reach = [[ratio.ratio - ratio.low], [ratio.high - ratio.ratio]]
            axis.errorbar([ratio.ratio], [number], xerr=reach, fmt="o", capsize=4)
        axis.axvline(1, color="gray", linewidth=1)
        axis.set(
            yticks=range(len(result.ratios)),
            yticklabels=[ratio.where or "all places" for ratio in result.ratios],
            ylim=(-0.6, len(result.ratios) - 0.4),
            xlabel=f"latency of {result.ratios[0].runner} over {result.ratios[0].over}, "
            "with its 99 % interval",
        )
    for axis in axes:
        axis.ticklabel_format(axis="x", useOffset=False)  # 0.9994, not -0.0006 and a 1 aside
        axis.locator_params(axis="x", nbins=6)
    figure.tight_layout()
    with atomic_write(path) as draft:
        figure.savefig(draft, format="png")
