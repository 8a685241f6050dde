"""Faults that tests put into the exported graph of ``tests.helpers.model_to_damage``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from onnxproof.artifact import Artifact
from onnxproof.check.stage import check_in_child
from onnxproof.records import Candidate, CheckResult, Divergence, Loaded, Run, Work
from onnxproof.runtime import open_session
from onnxproof.samples.sample_files import read_set
from onnxproof.spec import Spec

Damage = Callable[[onnx.ModelProto], None]


class Exported(NamedTuple):
    """A real export, before anything is damaged."""

    spec: Spec
    work: Work
    loaded: Loaded
    candidates: dict[str, Candidate]


def of_type(model: onnx.ModelProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == op_type]


def added(model: onnx.ModelProto) -> None:
    of_type(model, "Mul")[0].op_type = "Add"


def other_epsilon(model: onnx.ModelProto) -> None:
    node = of_type(model, "LayerNormalization")[2]
    next(attribute for attribute in node.attribute if attribute.name == "epsilon").f = 1e-2


def other_gelu(model: onnx.ModelProto) -> None:
    node = of_type(model, "Gelu")[1]
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("approximate", "tanh"))


def swapped_operands(model: onnx.ModelProto) -> None:
    inputs = of_type(model, "Sub")[1].input
    inputs[0], inputs[1] = inputs[1], inputs[0]


def one_weight(model: onnx.ModelProto) -> None:
    name = of_type(model, "MatMul")[1].input[1]
    weight = next(
        initializer for initializer in model.graph.initializer if initializer.name == name
    )
    array = numpy_helper.to_array(weight).copy()
    array[3, 5] += 0.1
    weight.CopyFrom(numpy_helper.from_array(array, name))


def slice_off_by_one(model: onnx.ModelProto) -> None:
    node = of_type(model, "Slice")[-1]
    model.graph.initializer.append(numpy_helper.from_array(np.array([2]), "two"))
    node.input[1] = "two"


DAMAGES: dict[Damage, tuple[str, str, str]] = {
    other_epsilon: ("LayerNormalization", "layers.2.norm", "norm"),
    other_gelu: ("Gelu", "layers.1", "gelu"),
    swapped_operands: ("Sub", "layers.1", "sub"),
    one_weight: ("Add", "layers.1.fc", "fc"),
    slice_off_by_one: ("Slice", "", "slice"),
}


class Refused(NamedTuple):
    """What the stage localize is given."""

    run: Run
    candidate: Candidate
    check: CheckResult
    plain: Candidate | None = None


def damaged(exported: Exported, label: str, damage: Damage, folder: Path) -> Refused:
    """A copy of a run whose graph was damaged after its export, and was refused by the check."""
    spec, work, loaded, candidates = exported
    moved = work.model_copy(update={"folder": str(folder)})
    candidate = candidates[label]
    for path in Path(work.folder).iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "candidates").unlink()
    model = onnx.load(work.path(candidate.model.path))
    damage(model)
    file = Path(moved.path(candidate.model.path))
    file.parent.mkdir(parents=True)
    onnx.save(model, file)
    places = Path(work.path("candidates", label, "places.json"))
    (file.parent / "places.json").symlink_to(places)
    wrong = candidate.model_copy(update={"model": Artifact.of(moved.folder, candidate.model.path)})
    check = check_in_child(Run(spec, moved, loaded), wrong)
    assert check.reason.startswith("parity: ")
    return Refused(Run(spec, moved, loaded), wrong, check)


def runs_alone(refused: Refused, found: Divergence) -> tuple[np.ndarray, np.ndarray]:
    """What the reproducer gives, and what it should."""
    assert found.reproducer is not None
    assert found.reproducer.unchanged(refused.run.work.folder)
    path = Path(refused.run.work.path(found.reproducer.path))
    feed, expected = read_set(path.parent / "test_data_set_0")
    assert list(expected) == [found.tensor]
    return open_session(path).run(feed)[found.tensor], expected[found.tensor]
