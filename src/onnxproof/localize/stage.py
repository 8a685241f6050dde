"""Where a graph that failed parity goes wrong: the first node, its module, its line, and a model.

The answer explains a verdict and never changes it. What is compared with what:

- a simplified graph with the plain one, tensor by tensor of the same name;
- dynamo's graph with the exported program, run node by node: their names are the same;
- TorchScript's graphs with what PyTorch computes eagerly, by value and by module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.errors import LocalizeError, one_line
from onnxproof.isolation.child import run_in_child
from onnxproof.records import (
    Candidate,
    CheckResult,
    Divergence,
    OutputParity,
    Run,
    SourceLocation,
    label_of,
)
from onnxproof.samples.generate import Feed
from onnxproof.samples.sample_files import read_set
from onnxproof.usercode.libraries import find_libraries
from onnxproof.usercode.source_lines import without_folders

if TYPE_CHECKING:
    import numpy as np

    from onnxproof.localize.budget import Budget, Gap
    from onnxproof.localize.reproducer import Region, Reproducer
    from onnxproof.localize.walk import Suspect, Values, Walk
    from onnxproof.runtime.intermediates import Examined

MAX_SECONDS: Final = 120.0
MAX_SUSPECTS: Final = 8
"""Tensors beyond their budget that are tried alone; the fault is among the first."""
MAX_AMONG: Final = 20


def localize(
    run: Run, candidate: Candidate, check: CheckResult, plain: Candidate | None = None
) -> Divergence:
    """Where the candidate's graph goes wrong; what broke on the way is a reason, never an error.

    Args:
        run: The model.
        candidate: Failed parity.
        check: Its verdicts.
        plain: What a simplified graph was made from.
    """
    seconds = min(run.spec.limits.seconds, MAX_SECONDS)
    against = plain.label if plain else "PyTorch"
    try:
        return run_in_child(
            localize_in_child,
            run,
            candidate,
            check,
            plain,
            failed=LocalizeError,
            limits=run.spec.limits.model_copy(update={"seconds": seconds}),
            log=Path(run.work.path("logs", f"localize-{candidate.label}.log")),
            doing=f"find where {candidate.label} goes wrong",
        )
    except Exception as error:  # the verdict stays, whatever happens to what explains it
        late = isinstance(error, LocalizeError) and error.end == "timeout"
        fault = f"{seconds:g} s were not enough" if late else one_line(error)
        text = without_folders(fault, run.work.roots)
        return Divergence(against=against, reason=f"could not be localized: {text}")


def localize_in_child(
    run: Run, candidate: Candidate, check: CheckResult, plain: Candidate | None = None
) -> Divergence:
    """In the child: take the sample that is furthest off, and walk the graph on it."""
    from onnxproof.localize.budget import Budget
    from onnxproof.localize.walk import Walk
    from onnxproof.runtime.intermediates import Examined

    libraries = find_libraries(run.spec.export.needs, run.work)
    examined = Examined(run.work, candidate, libraries)
    finder = _Finder(run, candidate, plain, examined)
    for name in _sets(run, check):
        feed, expected = read_set(Path(run.work.path(run.loaded.reference.folder, name)))
        budget = Budget(check.parity, expected)
        try:
            found = examined.run(feed, examined.outputs)
        except Exception as error:  # ONNX Runtime's classes have no common base
            return finder.stopped(error, name)
        if not any(budget.gap(output, expected[output], found[output]) for output in expected):
            if level := _wrong_level(examined, feed, expected, budget):
                return finder.optimized(level, name)
            continue
        with finder.values(feed, budget) as values:
            return finder.first(Walk(examined, values, feed, expected, budget), name)
    reason = "could not be localized: every saved sample is right when it is run again"
    return Divergence(against=finder.against, reason=reason)


def _sets(run: Run, check: CheckResult) -> list[str]:
    """The set of the worst output; all of them where no number says which."""
    bad = [row for row in check.parity if row.mismatched]
    if not bad:
        return [name for point in run.loaded.reference.points for name in point.sets]

    def share(row: OutputParity) -> float:
        return row.mismatched / row.elements

    return [max(bad, key=share).worst_set]


def _wrong_level(
    examined: Examined, feed: Feed, expected: dict[str, np.ndarray], budget: Budget
) -> str:
    """The lowest level of ONNX Runtime's optimizations that gives wrong outputs; empty for none."""
    from onnxproof.runtime import OPTIMIZATIONS

    for level in OPTIMIZATIONS:
        found = examined.run(feed, examined.outputs, level)
        if any(budget.gap(name, expected[name], found[name]) for name in expected):
            return level
    return ""


class _Finder:
    def __init__(
        self, run: Run, candidate: Candidate, plain: Candidate | None, examined: Examined
    ) -> None:
        from onnxproof.graph.source_map import read_source_map

        self.run, self.candidate, self.plain, self.examined = run, candidate, plain, examined
        self.against = plain.label if plain else "PyTorch"
        exported = label_of(candidate.strategy, variant=candidate.variant)
        self.source_map = read_source_map(run.work, exported)

    @contextmanager
    def values(self, feed: Feed, budget: Budget) -> Iterator[Values]:
        """What the tensors should be."""
        from onnxproof.runtime.intermediates import Examined, GraphValues

        if self.plain is not None:
            graph = Examined(self.run.work, self.plain, self.examined.libraries)
            yield GraphValues(graph, feed)
            return
        with ExitStack() as stack:
            yield self._of_pytorch(feed, budget, stack)

    def first(self, walk: Walk, set_name: str) -> Divergence:
        """The first tensor beyond its budget whose nodes are wrong alone; else the very first."""
        first = None
        for number, suspect in enumerate(walk.suspects()):
            if number == MAX_SUSPECTS:
                break
            divergence = self._examine(walk, suspect, set_name)
            if divergence.reproduces is not False:
                return divergence
            first = first or suspect
        if first is None:
            reason = "could not be localized: no tensor that can be compared is beyond its budget"
            return Divergence(against=self.against, worst_set=set_name, reason=reason)
        divergence = self._examine(walk, first, set_name)
        reason = (
            "its nodes are right alone: small differences in what comes to them have grown too "
            "large here"
        )
        return divergence.model_copy(update={"reason": reason})

    def stopped(self, error: Exception, set_name: str) -> Divergence:
        """ONNX Runtime could not run the graph; it names the node."""
        text = without_folders(one_line(error, 400), self.run.work.roots)
        named = re.search(r"Name:'([^']+)'", text)
        node = next(
            (
                graph_node
                for graph_node in self.examined.nodes
                if named and graph_node.name == named[1]
            ),
            None,
        )
        if node is None:
            reason = f"could not be localized: ONNX Runtime stops on {set_name}: {text}"
            return Divergence(against=self.against, worst_set=set_name, reason=reason)
        location = self._location(node.output[0])
        return Divergence(
            against=self.against,
            tensor=node.output[0],
            node=node.name,
            operator=node.op_type,
            module=location.module,
            line=location.line,
            worst_set=set_name,
            reason="ONNX Runtime stops there",
        )

    def optimized(self, level: str, set_name: str) -> Divergence:
        """The graph is right, and what ONNX Runtime makes of it is not."""
        reason = (
            f"wrong only with ONNX Runtime's optimizations, from level {level} on: every node is "
            "right by itself, and one that they fuse is not"
        )
        return Divergence(against=self.against, worst_set=set_name, reason=reason)

    def _examine(self, walk: Walk, suspect: Suspect, set_name: str) -> Divergence:
        from onnxproof.localize.reproducer import region_of, save_reproducer

        region = region_of(self.examined, suspect.tensor, set(walk.comparable) - {suspect.tensor})
        folder = f"divergence/{self.candidate.label}"
        saved = save_reproducer(walk, region, self.run.work, folder)
        return self._divergence(region, suspect.gap, saved, set_name)

    def _divergence(self, region: Region, gap: Gap, saved: Reproducer, set_name: str) -> Divergence:
        from onnxproof.runtime.intermediates import names_read

        node, weights = self.examined.made_by[region.tensor], set(self.examined.initializers)
        others = [
            f"{other.name} ({other.op_type})"
            for other in region.nodes
            if other is not node and not names_read(other) <= weights
        ]
        location = self._location(region.tensor)
        return Divergence(
            against=self.against,
            tensor=region.tensor,
            node=node.name or region.tensor,
            operator=node.op_type,
            among=tuple(others[-MAX_AMONG:]),
            module=location.module,
            line=location.line,
            max_abs_diff=gap.max_abs_diff,
            budget=gap.budget,
            worst_set=set_name,
            worst_index=gap.worst_index,
            reproducer=saved.model,
            reproduces=saved.reproduces,
            reason="; ".join(filter(None, (gap.reason, saved.reason))),
        )

    def _of_pytorch(self, feed: Feed, budget: Budget, stack: ExitStack) -> Values:
        """PyTorch's values, of the module as it was exported."""
        from onnxproof.export.strategies import STRATEGIES
        from onnxproof.export.workarounds import WORKAROUNDS
        from onnxproof.localize.eager_values import eager_values
        from onnxproof.localize.program_values import ProgramValues, exported_program
        from onnxproof.source.variant import build_variant

        spec, work, candidate = self.run.spec, self.run.work, self.candidate
        source = build_variant(spec, work, candidate.variant, self.run.loaded.weights_sha256)
        for workaround in WORKAROUNDS:
            if workaround.name in candidate.workarounds:
                stack.enter_context(workaround.applied(source.model, spec))
        if STRATEGIES[candidate.strategy].gives_program:
            try:
                program = exported_program(source, work, candidate.strategy, candidate.opset)
                return ProgramValues(program, source, feed)
            except Exception as error:  # it was exported once, and may not be run by itself
                print(f"by value, since the program gave none: {error}")  # noqa: T201  # the log
        return eager_values(source, self.examined, feed, budget, self.source_map, work.roots)

    def _location(self, tensor: str) -> SourceLocation:
        return self.source_map.get(tensor, SourceLocation(module="", line=""))
