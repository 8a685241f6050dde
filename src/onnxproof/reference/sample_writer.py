"""PyTorch's outputs for seeded inputs, saved once in ONNX's ``test_data_set_N`` layout."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from onnxproof.errors import ReferenceRefused
from onnxproof.progress import say
from onnxproof.records import (
    DrawnValues,
    EdgeSample,
    GridPoint,
    Metric,
    Outcome,
    Reference,
    TensorRecord,
    Work,
)
from onnxproof.reference.edge_samples import Edges, judged
from onnxproof.reference.noise_floor import answers_in_float64
from onnxproof.reference.output_shapes import describe_outputs
from onnxproof.reference.outputs import Outputs, run
from onnxproof.reference.payable_points import PayablePoints
from onnxproof.reference.unused_inputs import unused_inputs
from onnxproof.samples.dataset import first_rows, sizes_of
from onnxproof.samples.generate import Feed, draw
from onnxproof.samples.grid import (
    Sizes,
    example_sizes,
    label,
    settled_shape,
    shape_grid,
)
from onnxproof.samples.sample_files import write_set
from onnxproof.source.module import SourceModule
from onnxproof.spec import Spec

FOLDER: Final = "."
"""Beside the model, as ONNX lays out its own backend tests and onnx_test_runner reads them."""
MAX_BYTES: Final = 256 * 2**20
"""Of all saved inputs and outputs; a proof is copied, uploaded and replayed."""
FURTHER_CPU_SECONDS: Final = 1.0
"""Of this process, for samples beyond the first of every shape, where the spec does not ask for a
number: shapes break graphs more often than values do, and a proof is to cost no more than one
export. Not of the clock, so that a busy machine takes as many samples as a quiet one."""


class ReferenceWriter:
    """Runs the module over the shape grid and saves what it takes and gives, one set a sample."""

    def __init__(self, source: SourceModule, work: Work, at_example: Outputs | None = None) -> None:
        """``at_example`` is the answer to the first sample of the example, where it was asked."""
        self.source = source
        self.work = work
        self.at_example = at_example
        self.spec: Spec = source.spec
        self.folder = Path(work.path(FOLDER))
        self.size_bytes = 0
        self.sets = 0
        self.drawn: dict[str, tuple[float, float]] = {}
        self.payable = PayablePoints(source)
        self.digest = hashlib.sha256()
        self.outputs_at: list[tuple[Sizes, Outputs]] = []

    def write(self, metric: Metric | None = None) -> Reference:
        """Cover the grid as far as the budget of seconds and bytes goes, cheapest points first.

        Raises:
            ReferenceRefused: NaN, infinity, or outputs of another kind at another shape.
            LoadError: forward raised at a declared shape.
            SpecError: ``outputs`` names another number of outputs than forward gives.
        """
        example = example_sizes(self.spec.dims)
        points = shape_grid(self.spec.dims, static=self.spec.export.static)
        deadline = time.monotonic() + self.spec.check.seconds
        unused = unused_inputs(self.spec, lambda feed, sizes: run(self.source, feed, sizes))
        covered = []
        for number, sizes in enumerate(points):
            say("load", f"PyTorch at {label(sizes)}", number, len(points))
            answer = self.at_example if sizes == example else None
            covered.append(self._cover(sizes, deadline, [self._draw(sizes, 0)], answer=answer))
        covered += self._cover_joint(covered, deadline)
        covered = list(self._more_of(covered, deadline))
        covered += self._cover_every_size(covered, deadline)
        if self.spec.dataset is not None:
            covered += self._cover_rows(deadline)
        return Reference(
            folder=FOLDER,
            seed=self.spec.check.seed,
            inputs=tuple(
                TensorRecord(
                    name=name,
                    dtype=input_spec.array_dtype,
                    shape=settled_shape(
                        input_spec.shape, self.spec.dims, static=self.spec.export.static
                    ),
                    used=name not in unused,
                )
                for name, input_spec in self.spec.inputs.items()
            ),
            outputs=describe_outputs(self.spec, self.outputs_at),
            points=tuple(covered),
            size_bytes=self.size_bytes,
            digest=self.digest.hexdigest(),
            metric=metric,
            drawn=tuple(self._drawn()),
        )

    def _note_drawn(self, feed: Feed) -> None:
        for name, array in feed.items():
            if array.size:
                least, largest = self.drawn.get(name, (float("inf"), -float("inf")))
                ends = float(array.min()), float(array.max())
                self.drawn[name] = min(least, ends[0]), max(largest, ends[1])

    def _drawn(self) -> Iterator[DrawnValues]:
        for name, input_spec in self.spec.inputs.items():
            least, largest = self.drawn.get(name, (None, None))
            yield DrawnValues(name=name, values=input_spec.values, least=least, largest=largest)

    def _cover_joint(self, covered: Sequence[GridPoint], deadline: float) -> list[GridPoint]:
        """All dims large together; a point that is not reached where that is not all of them."""
        joint, left_out = self.payable.joint([point.dims for point in covered])
        found = [self._cover(joint, deadline, [self._draw(joint, 0)])] if joint else []
        return found + left_out

    def _cover_every_size(
        self, covered: Sequence[GridPoint], deadline: float
    ) -> Iterator[GridPoint]:
        """One sample at each size of each dim, where an operator computes with sizes in floats."""
        sizes = self.payable.every_size([point.dims for point in covered])
        for number, point in enumerate(sizes):
            say("load", f"PyTorch at {label(point)}", number, len(sizes))
            covered_point = self._cover(point, deadline, [self._draw(point, 0)])
            yield covered_point.model_copy(update={"values": "sizes"})

    def _more_of(self, covered: Sequence[GridPoint], deadline: float) -> Iterator[GridPoint]:
        """The points with further samples, cheapest first, while there is time for them."""
        samples = self.spec.check.samples
        asked = "samples" in self.spec.check.model_fields_set
        until = float("inf") if asked else time.process_time() + FURTHER_CPU_SECONDS
        for number, point in enumerate(covered):
            if not point.sets:
                yield point
                continue
            say("load", f"PyTorch again at {label(point.dims)}", number, len(covered))
            feeds = (self._draw(point.dims, sample) for sample in range(1, samples))
            more = self._cover(point.dims, deadline, feeds, until=until)
            sets = (*point.sets, *more.sets)
            yield point.model_copy(update={"sets": sets, "reason": more.reason})

    def _draw(self, sizes: Sizes, sample: int) -> Feed:
        return draw(self.spec.inputs, sizes, self.spec.check.seed, sample)

    def _cover_rows(self, deadline: float) -> Iterator[GridPoint]:
        """The dataset's first rows: real values, where the grid's are drawn."""
        feeds = itertools.islice(first_rows(self.spec, self.work), self.spec.check.samples)
        for sizes, same in itertools.groupby(feeds, lambda feed: sizes_of(self.spec, feed)):
            if sizes is not None:
                point = self._cover(sizes, deadline, same)
                yield point.model_copy(update={"values": "dataset"})

    def _cover(
        self,
        sizes: Sizes,
        deadline: float,
        feeds: Iterable[Feed],
        *,
        until: float = float("inf"),
        answer: Outputs | None = None,
    ) -> GridPoint:
        """Samples at one point; ``answer`` is the module's to the one feed, if it was asked."""
        names: list[str] = []
        for feed in feeds:
            if self.sets and time.monotonic() > deadline:
                reason = f"check.seconds = {self.spec.check.seconds:g} was used up"
                break
            if time.process_time() > until:
                reason = (
                    f"{FURTHER_CPU_SECONDS:g} s of processor time used up; check.samples gives more"
                )
                break
            outputs = answer or run(self.source, feed, sizes)
            refuse_nonfinite(outputs, sizes, self.spec)
            if self.outputs_at:
                refuse_another_kind(outputs, sizes, *self.outputs_at[0])
            added = sum(array.nbytes for array in (*feed.values(), *outputs.values()))
            if self.sets and self.size_bytes + added > MAX_BYTES:
                left = (MAX_BYTES - self.size_bytes) / 2**20
                reason = (
                    f"a sample takes {added / 2**20:.1f} MiB, and {left:.1f} of the "
                    f"{MAX_BYTES >> 20} MiB of a proof are left"
                )
                break
            names.append(self._save(feed, outputs))
            self._note_drawn(feed)
            self.size_bytes += added
        else:
            reason = ""
        if names:
            self.outputs_at.append((sizes, outputs))
        outcome: Outcome = "passed" if names else "not_reached"
        return GridPoint(dims=sizes, outcome=outcome, reason=reason, sets=tuple(names))

    def add_edges(self, reference: Reference, edges: Edges, weights_bytes: int) -> Reference:
        """``reference`` with the edge samples that say something, saved behind its own.

        The module is converted to float64 in place.
        """
        exact = answers_in_float64(self.source, edges.asked, edges.sizes, weights_bytes)
        samples: list[EdgeSample] = []
        for asked, wide in zip(edges.asked, exact, strict=True):
            found = judged(asked, wide, f"test_data_set_{self.sets}")
            arrays = (*asked.edge.feed.values(), *asked.outputs.values())
            added = sum(array.nbytes for array in arrays)
            if found is not None and self.size_bytes + added <= MAX_BYTES:
                samples.append(found)
                self._save(asked.edge.feed, asked.outputs)
                self.size_bytes += added
        if not samples:
            return reference
        names = tuple(sample.folder for sample in samples)
        point = GridPoint(dims=edges.sizes, outcome="passed", sets=names, values="edges")
        drawn = []
        for row in reference.drawn:
            values = tuple(sample.values for sample in samples if row.name in sample.inputs)
            drawn.append(row.model_copy(update={"edges": values}))
        changed = {
            "drawn": tuple(drawn),
            "points": (*reference.points, point),
            "edges": tuple(samples),
            "size_bytes": self.size_bytes,
            "digest": self.digest.hexdigest(),
        }
        return reference.model_copy(update=changed)

    def _save(self, feed: Feed, outputs: Outputs) -> str:
        name = f"test_data_set_{self.sets}"
        self.sets += 1
        write_set(self.folder / name, feed, outputs, self.digest.update)
        return name


def refuse_nonfinite(outputs: Outputs, sizes: Sizes, spec: Spec) -> None:
    """Raise ReferenceRefused when an output holds NaN or infinity that the spec does not allow."""
    import numpy as np

    for name, array in outputs.items():
        if name in spec.outputs and spec.outputs[name].nonfinite == "allow":
            continue
        if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
            index = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ReferenceRefused(
                f"PyTorch itself gives {array[index]} in output {name!r} at {label(sizes)} "
                f"(index {list(index)}), so there is nothing to compare with; "
                "check the weights and the declared input values, or set "
                f"outputs.{name}.nonfinite: allow if it is meant (masked logits)"
            )


def refuse_another_kind(outputs: Outputs, sizes: Sizes, first_sizes: Sizes, first: Outputs) -> None:
    """Raise ReferenceRefused when names, dtypes or ranks are not those of the first point."""
    here, there = _kinds(outputs), _kinds(first)
    for name in (*there, *here):
        if here.get(name) != there.get(name):
            raise ReferenceRefused(
                f"output {name!r} is {here.get(name, 'missing')} at {label(sizes)} and "
                f"{there.get(name, 'missing')} at {label(first_sizes)}, and an ONNX graph has one "
                "dtype and rank for it (a squeeze() without dim drops a batch of 1); "
                "correct forward, or narrow dims"
            )


def _kinds(outputs: Outputs) -> dict[str, str]:
    return {name: f"{array.dtype} of rank {array.ndim}" for name, array in outputs.items()}
