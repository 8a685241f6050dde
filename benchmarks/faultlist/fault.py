"""What a fault is, and the export that it is put into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import onnx

from onnxproof.artifact import Artifact
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.samples.generate import Feed
from onnxproof.samples.grid import example_sizes
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import Limits, Spec, StrategyName

Damage = Callable[[onnx.ModelProto], None]
Stage = Literal["load", "export", "simplify", "check", "benchmark"]


class Victim(NamedTuple):
    """A real export, and the folder of its run."""

    spec: Spec
    work: Work
    loaded: Loaded
    candidate: Candidate

    @property
    def path(self) -> Path:
        """The graph's file."""
        return Path(self.work.path(self.candidate.model.path))

    @property
    def weights_path(self) -> Path:
        """The file of weights beside it."""
        assert self.candidate.weights is not None
        return Path(self.work.path(self.candidate.weights.path))

    def copy(self, folder: Path) -> Victim:
        """The same run in another folder, which may be damaged."""
        shutil.copytree(self.work.folder, folder)
        return self._replace(work=self.work.model_copy(update={"folder": str(folder)}))

    def example(self) -> tuple[Feed, dict[str, np.ndarray]]:
        """What the exporter was called with, and what PyTorch gave for it."""
        sizes = example_sizes(self.spec.dims)
        point = next(
            grid_point for grid_point in self.loaded.reference.points if grid_point.dims == sizes
        )
        return read_set(Path(self.work.path(self.loaded.reference.folder, point.sets[0])))

    def values_seen(self, name: str) -> set[int]:
        """Every integer that the samples have for an input."""
        sets = [set_name for point in self.loaded.reference.points for set_name in point.sets]
        folder = Path(self.work.path(self.loaded.reference.folder))
        return {
            int(value) for set_name in sets for value in read_set(folder / set_name)[0][name].flat
        }

    def described(self) -> Candidate:
        """The candidate with digests of the files as they are now: an exporter wrote them so."""
        folder, weights = self.work.folder, self.candidate.weights
        files = {
            "model": Artifact.of(folder, self.candidate.model.path),
            "weights": weights and Artifact.of(folder, weights.path),
        }
        return self.candidate.model_copy(update=files)


Inject = Callable[[Victim], Candidate]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that may go wrong, put where it would.

    ``inject`` changes the files of an export. ``broken`` is entered around ``stage``, where a
    library is to misbehave. With neither, the subject itself is at fault.
    """

    name: str
    what: str
    subject: str
    caught_by: str  # a verdict of the check, or how a stage ends
    inject: Inject | None = None
    strategy: StrategyName = "trace"
    stage: Stage = "check"  # where it is to be caught
    broken: Callable[[], AbstractContextManager[object]] | None = None
    limits: Limits | None = None  # also: it must run in a child
    quick: bool = False  # part of the tests


def graph(damage: Damage) -> Inject:
    """Change the graph, as if the exporter had made it so."""

    def inject(victim: Victim) -> Candidate:
        model = onnx.load(victim.path, load_external_data=False)
        damage(model)
        victim.path.write_bytes(model.SerializeToString())
        return victim.described()

    return inject
