"""Samples of all repetitions, and the records made from them."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from onnxproof.benchmark.quality_warnings import PointStats, quality_warnings
from onnxproof.benchmark.ratios import FEWEST_REPETITIONS, Samples, compare, ratio_of
from onnxproof.benchmark.runners import Runner
from onnxproof.benchmark.summary import summarize
from onnxproof.benchmark.warmup import WarmUp
from onnxproof.records import Latency, QualityWarning, Ratio, Startup
from onnxproof.samples.grid import Sizes, label

Key = tuple[str, str]
"""A runner's label, and where it ran."""


class Timings:
    """Samples by runner and point, one list for each repetition; runners in their first order."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.runners: dict[Key, Runner] = {}
        self.points: dict[str, Sizes] = {}
        self.taken: dict[tuple[Key, str], list[list[float]]] = defaultdict(list)
        self.loops: dict[tuple[Key, str], list[list[float]]] = defaultdict(list)
        self.stats: dict[str, PointStats] = defaultdict(PointStats)
        self._opened_ms: dict[Key, list[float]] = defaultdict(list)
        self._first_ms: dict[Key, list[float]] = defaultdict(list)
        self._new_shape_ms: dict[Key, list[float]] = defaultdict(list)

    @property
    def wall_seconds(self) -> float:
        """Time in which the runners took turns."""
        return sum(look.wall_seconds for look in self.stats.values())

    def opened(self, runner: Runner) -> None:
        """Note a runner that a repetition opened."""
        key = runner.label, runner.where
        self.runners.setdefault(key, runner)
        if runner.open_ms is not None:
            self._opened_ms[key].append(runner.open_ms)

    def first_run(self, runner: Runner, milliseconds: float) -> None:
        """Note the first run of a runner, before any repetition."""
        self._first_ms[runner.label, runner.where].append(milliseconds)

    def warmed(self, runner: Runner, sizes: Sizes, begun: WarmUp) -> None:
        """Note the warm-up of a runner at a point."""
        key = runner.label, runner.where
        new = self.points and label(sizes) != next(iter(self.points))
        (self._new_shape_ms if new else self._first_ms)[key].append(begun.first_ms)
        self.points.setdefault(label(sizes), sizes)
        if not begun.settled:
            self.stats[label(sizes)].unsettled[key] += 1

    def first_at_new_shape(self, runner: Runner, milliseconds: float) -> None:
        """Note a run at a shape that is no point of the benchmark."""
        self._new_shape_ms[runner.label, runner.where].append(milliseconds)

    def looped(self, runner: Runner, sizes: Sizes, samples_ms: list[float]) -> None:
        """Note the samples of a runner that looped by itself."""
        self.loops[(runner.label, runner.where), label(sizes)].append(samples_ms)

    def add(self, runner: Runner, sizes: Sizes, samples_ms: Sequence[float]) -> None:
        """Note the samples that a runner took in turn with others."""
        self.taken[(runner.label, runner.where), label(sizes)].append(list(samples_ms))

    def latencies(self) -> tuple[Latency, ...]:
        """Latency of every runner at every point, in the order of points."""
        return tuple(latency for latency, _ in self.rows())

    def rows(self) -> Iterator[tuple[Latency, list[list[float]]]]:
        """Every latency with the samples of its loops, one list for each repetition."""
        for point, sizes in self.points.items():
            for key, runner in self.runners.items():
                if repetitions := self.loops.get((key, point)):
                    yield summarize(runner, sizes, self.threads, together(repetitions)), repetitions

    def parts(self) -> Iterator[tuple[Latency, str, Samples]]:
        """Every sample of loops and of rounds, one list for each repetition."""
        for latency, loops in self.rows():
            yield latency, "loop", loops
            key = latency.runner, latency.where
            yield latency, "rounds", self.taken[key, label(latency.dims)]

    def over_fastest(self) -> tuple[Ratio, ...]:
        """Every model over the one with the lowest latency, over all places together."""
        found: dict[str, list[Samples]] = defaultdict(list)
        for (key, _), repetitions in self.taken.items():
            if self.runners[key].provider:
                found[key[0]].append(repetitions)
        return compare(found)

    def ratio(self, runner: Key, over: Key) -> Ratio | None:
        """Ratio of one runner over another at all points; None with fewer than two repetitions."""
        ours, theirs = ([self.taken[key, point] for point in self.points] for key in (runner, over))
        if min(len(repetitions) for repetitions in (*ours, *theirs)) < FEWEST_REPETITIONS:
            return None
        where = runner[1] if self.runners[runner].provider else over[1]
        return ratio_of(runner[0], ours, over[0], theirs, where)

    def startups(self) -> Iterator[Startup]:
        """One for each runner on each provider and binding."""
        for (name, where), runner in self.runners.items():
            key, anew = (name, where), runner.open_ms is not None
            typical = statistics.median if anew else _first
            opened, new = self._opened_ms[key], self._new_shape_ms[key]
            yield Startup(
                runner=name,
                where=where,
                open_ms=statistics.median(opened) if anew else None,
                first_run_ms=typical(self._first_ms[key]),
                new_shape_ms=typical(new) if new else None,
            )

    def quality_warnings(self) -> Iterator[QualityWarning]:
        """Warnings from all repetitions together, since a single one may be unlucky."""
        for latency, repetitions in self.rows():
            yield from quality_warnings(latency, repetitions, self.stats[label(latency.dims)])


def together(repetitions: Samples) -> list[float]:
    """All samples of one runner, of all repetitions."""
    return [sample for repetition in repetitions for sample in repetition]


def _first(values: Sequence[float]) -> float:
    return values[0]
