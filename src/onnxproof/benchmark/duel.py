"""Two registered versions in turn, in several sittings, until what they are asked is settled."""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from onnxproof.benchmark.contenders import Contender, open_all
from onnxproof.benchmark.paired import median_log, students
from onnxproof.benchmark.rounds import take_samples
from onnxproof.benchmark.summary import summarize
from onnxproof.benchmark.suspicion import suspicions
from onnxproof.gates import undecided
from onnxproof.grid import Sizes, example_sizes, label
from onnxproof.progress import say
from onnxproof.records import Latency, Ratio, Suspicion, Work
from onnxproof.spec import Spec

FEWEST_SITTINGS: Final = 5
"""From which Student's interval is narrow enough to tell 5 % from nothing (docs/promotion.md)."""


class DuelRequest(NamedTuple):
    """What the child gets."""

    spec: Spec  # of the first: its inputs, points, providers, seconds and gates
    work: Work
    models: Mapping[str, Path]  # ONNX files by name; the ratio is of the first over the second


class Duel(NamedTuple):
    """What was timed."""

    latencies: tuple[Latency, ...]
    ratios: tuple[Ratio, ...]
    samples_ms: dict[str, list[float]]  # of the first, by provider and point
    sittings: int
    suspicions: tuple[Suspicion, ...] = ()


def fight(request: DuelRequest) -> Duel:
    """In the child: sit down at least ``FEWEST_SITTINGS`` times, and again while a gate is open.

    A sitting opens every session anew and takes its share of ``benchmark.seconds`` at each point;
    ``gates.longest_seconds`` ends them.
    """
    from onnxproof.libraries import find_libraries

    spec, work, models = request
    libraries = find_libraries(spec, work)
    start, timed = time.monotonic(), _Timed(tuple(models), spec.benchmark.threads)
    while True:
        say("trial", " against ".join(models), timed.sittings, FEWEST_SITTINGS)
        contenders, _ = open_all(spec.benchmark, work, models, libraries)
        _sit(spec, contenders, timed)
        del contenders
        gc.collect()  # the sessions, before there are others
        if timed.sittings < FEWEST_SITTINGS:
            continue
        spent = time.monotonic() - start
        longest = spec.gates.longest_seconds * (1 - 1 / timed.sittings)  # one more has to fit
        if spent > longest or not undecided(spec.gates, timed.ratios(), timed.samples_ms()):
            return timed.duel()


def _sit(spec: Spec, contenders: Sequence[Contender], timed: _Timed) -> None:
    from onnxproof.inputs import draw

    benchmark = spec.benchmark
    share = benchmark.model_copy(update={"seconds": benchmark.seconds / FEWEST_SITTINGS})
    for point in benchmark.at:
        sizes = {**example_sizes(spec.dims), **point}
        feed = draw(spec.inputs, sizes, spec.check.seed, 0)
        calls = [each.prepare(feed) for each in contenders]
        wall, computed = time.perf_counter(), time.process_time()
        taken = take_samples(calls, share, seed=timed.sittings)
        had = (time.process_time() - computed) / (time.perf_counter() - wall)
        timed.add(contenders, sizes, taken)
        for contender, samples in zip(contenders, taken, strict=True):
            latency = summarize(contender, sizes, benchmark.threads, samples)
            timed.suspicions += suspicions(latency, samples, feed, had)
    timed.sittings += 1


class _Timed:
    """Samples by model, place (provider and binding) and point, a list for each sitting."""

    def __init__(self, models: tuple[str, ...], threads: int) -> None:
        self.models, self.threads, self.sittings = models, threads, 0
        self.suspicions: list[Suspicion] = []
        self.contenders: dict[tuple[str, str], Contender] = {}
        self.sizes: dict[str, Sizes] = {}
        self.taken: dict[tuple[str, str, str], list[list[float]]] = defaultdict(list)

    def add(
        self, contenders: Sequence[Contender], sizes: Sizes, taken: Sequence[Sequence[float]]
    ) -> None:
        self.sizes[label(sizes)] = sizes
        for each, samples in zip(contenders, taken, strict=True):
            bound = ", nothing copied" if each.binding == "device" else ""
            place = f"{each.provider}{bound}"
            self.contenders[each.label, place] = each
            self.taken[each.label, place, label(sizes)].append(list(samples))

    def duel(self) -> Duel:
        """What was timed; suspect is what most of the sittings had, since one may be unlucky."""
        often = Counter((each.rule, each.contender, each.where) for each in self.suspicions)
        told = {
            (each.rule, each.contender, each.where): each
            for each in self.suspicions
            if 2 * often[each.rule, each.contender, each.where] > self.sittings
        }
        return Duel(
            self.latencies(), self.ratios(), self.samples_ms(), self.sittings, (*told.values(),)
        )

    def latencies(self) -> tuple[Latency, ...]:
        return tuple(
            summarize(self.contenders[model, place], self.sizes[point], self.threads, _all(taken))
            for (model, place, point), taken in self.taken.items()
        )

    def ratios(self) -> tuple[Ratio, ...]:
        if len(self.models) < 2:
            return ()
        first, second = self.models
        places = dict.fromkeys(place for _, place in self.contenders)
        return tuple(self._ratio(first, second, place) for place in places)

    def samples_ms(self) -> dict[str, list[float]]:
        return {
            f"{point} on {place}": _all(taken)
            for (model, place, point), taken in self.taken.items()
            if model == self.models[0]
        }

    def _ratio(self, first: str, second: str, place: str) -> Ratio:
        pairs = [
            (self.taken[first, place, point], self.taken[second, place, point])
            for point in self.sizes
        ]
        logs = [
            fmean(median_log(ours[sitting], theirs[sitting]) for ours, theirs in pairs)
            for sitting in range(self.sittings)
        ]
        rounds = sum(len(each) for ours, _ in pairs for each in ours)
        interval = students(logs)._asdict()
        return Ratio(contender=first, over=second, rounds=rounds, where=place, **interval)


def _all(sittings: Sequence[Sequence[float]]) -> list[float]:
    return [sample for sitting in sittings for sample in sitting]
