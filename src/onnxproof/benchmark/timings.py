"""What was timed, sitting by sitting, and what comes of it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from onnxproof.benchmark.quality import Looked, suspicions
from onnxproof.benchmark.ratios import FEWEST_SITTINGS, Samples, compare, ratio_of
from onnxproof.benchmark.runners import Contender
from onnxproof.benchmark.summary import summarize
from onnxproof.benchmark.warmup import WarmUp
from onnxproof.records import Latency, Ratio, Startup, Suspicion
from onnxproof.samples.grid import Sizes, label

Key = tuple[str, str]
"""A contender's label, and where it ran."""


class Timings:
    """Samples by contender and point, a list a sitting; contenders in the order they came in."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.contenders: dict[Key, Contender] = {}
        self.points: dict[str, Sizes] = {}
        self.taken: dict[tuple[Key, str], list[list[float]]] = defaultdict(list)
        self.loops: dict[tuple[Key, str], list[list[float]]] = defaultdict(list)
        self.looked: dict[str, Looked] = defaultdict(Looked)
        self._opened_ms: dict[Key, list[float]] = defaultdict(list)
        self._first_ms: dict[Key, list[float]] = defaultdict(list)
        self._new_shape_ms: dict[Key, list[float]] = defaultdict(list)

    @property
    def wall_seconds(self) -> float:
        """That the contenders took turns for."""
        return sum(look.wall_seconds for look in self.looked.values())

    def opened(self, contender: Contender) -> None:
        """Note a session that a sitting opened."""
        key = contender.label, contender.where
        self.contenders.setdefault(key, contender)
        if contender.open_ms is not None:
            self._opened_ms[key].append(contender.open_ms)

    def first_run(self, contender: Contender, milliseconds: float) -> None:
        """Note a run before any sitting, as the first."""
        self._first_ms[contender.label, contender.where].append(milliseconds)

    def warmed(self, contender: Contender, sizes: Sizes, begun: WarmUp) -> None:
        """Note how a contender began a sitting at a point."""
        key = contender.label, contender.where
        new = self.points and label(sizes) != next(iter(self.points))
        (self._new_shape_ms if new else self._first_ms)[key].append(begun.first_ms)
        self.points.setdefault(label(sizes), sizes)
        if not begun.settled:
            self.looked[label(sizes)].unsettled[key] += 1

    def first_at_new_shape(self, contender: Contender, milliseconds: float) -> None:
        """Note a run at a shape that is no point of the benchmark."""
        self._new_shape_ms[contender.label, contender.where].append(milliseconds)

    def looped(self, contender: Contender, sizes: Sizes, samples_ms: list[float]) -> None:
        """Note the loop that a contender had for itself in a sitting."""
        self.loops[(contender.label, contender.where), label(sizes)].append(samples_ms)

    def add(self, contender: Contender, sizes: Sizes, samples_ms: Sequence[float]) -> None:
        """Note the rounds of a sitting at a point."""
        self.taken[(contender.label, contender.where), label(sizes)].append(list(samples_ms))

    def latencies(self) -> tuple[Latency, ...]:
        """Of every contender at every point, in the order of points."""
        return tuple(latency for latency, _ in self.rows())

    def rows(self) -> Iterator[tuple[Latency, list[list[float]]]]:
        """Every latency with the loops it is of, a list a sitting."""
        for point, sizes in self.points.items():
            for key, contender in self.contenders.items():
                if sittings := self.loops.get((key, point)):
                    yield summarize(contender, sizes, self.threads, together(sittings)), sittings

    def parts(self) -> Iterator[tuple[Latency, str, Samples]]:
        """Every sample, of loops and of rounds, a list a sitting."""
        for latency, loops in self.rows():
            yield latency, "loop", loops
            key = latency.contender, latency.where
            yield latency, "rounds", self.taken[key, label(latency.dims)]

    def over_fastest(self) -> tuple[Ratio, ...]:
        """Every model over the one with the lowest latency, over all places together."""
        found: dict[str, list[Samples]] = defaultdict(list)
        for (key, _), sittings in self.taken.items():
            if self.contenders[key].provider:
                found[key[0]].append(sittings)
        return compare(found)

    def ratio(self, contender: Key, over: Key) -> Ratio | None:
        """Of one over another, over all points; None where a single sitting has no spread."""
        ours, theirs = (
            [self.taken[key, point] for point in self.points] for key in (contender, over)
        )
        if min(len(sittings) for sittings in (*ours, *theirs)) < FEWEST_SITTINGS:
            return None
        where = contender[1] if self.contenders[contender].provider else over[1]
        return ratio_of(contender[0], ours, over[0], theirs, where)

    def startups(self) -> Iterator[Startup]:
        """Of each contender in each place."""
        for (name, where), contender in self.contenders.items():
            key, anew = (name, where), contender.open_ms is not None
            typical = statistics.median if anew else _first
            opened, new = self._opened_ms[key], self._new_shape_ms[key]
            yield Startup(
                contender=name,
                where=where,
                open_ms=statistics.median(opened) if anew else None,
                first_run_ms=typical(self._first_ms[key]),
                new_shape_ms=typical(new) if new else None,
            )

    def suspicions(self) -> Iterator[Suspicion]:
        """What is odd, of all sittings together, since a single one may be unlucky."""
        for latency, sittings in self.rows():
            yield from suspicions(latency, sittings, self.looked[label(latency.dims)])


def together(sittings: Samples) -> list[float]:
    """All samples of one contender at one place."""
    return [sample for sitting in sittings for sample in sitting]


def _first(values: Sequence[float]) -> float:
    return values[0]
