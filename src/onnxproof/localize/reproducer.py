"""The few nodes behind one tensor as a model of their own, with what they take and should give."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from onnxproof.artifact import Artifact
from onnxproof.graph.traversal import size_of
from onnxproof.localize.budget import Budget
from onnxproof.localize.walk import Walk
from onnxproof.records import Work
from onnxproof.runtime.intermediates import Examined, names_read
from onnxproof.samples.sample_files import write_set

if TYPE_CHECKING:
    import numpy as np
    import onnx

MAX_BYTES: Final = 64 * 2**20
"""Of a reproducer: it is to be sent to somebody."""


class Region(NamedTuple):
    """The nodes between one tensor and the nearest ones before it that can be compared."""

    tensor: str
    nodes: tuple[onnx.NodeProto, ...]  # in the order of the graph
    inputs: tuple[str, ...]
    weights: tuple[str, ...]


class Reproducer(NamedTuple):
    """What was saved; without a file, ``reason`` says why."""

    model: Artifact | None
    reproduces: bool | None
    reason: str = ""


def region_of(examined: Examined, tensor: str, known: Collection[str]) -> Region:
    """The nodes that alone can be at fault for ``tensor``, where those in ``known`` are given."""
    inputs: dict[str, None] = {}
    weights: dict[str, None] = {}
    inside: set[int] = set()
    waiting = [tensor]
    while waiting:
        node = examined.made_by[waiting.pop()]
        if id(node) in inside:
            continue
        inside.add(id(node))
        for name in sorted(names_read(node)):
            if name in examined.initializers:
                weights[name] = None
            elif name in examined.made_by and name not in known:
                waiting.append(name)
            elif name in known or name in {
                graph_input.name for graph_input in examined.model.graph.input
            }:
                inputs[name] = None
    nodes = tuple(node for node in examined.nodes if id(node) in inside)
    return Region(tensor, nodes, tuple(inputs), tuple(weights))


def save_reproducer(walk: Walk, region: Region, work: Work, folder: str) -> Reproducer:
    """Save the region below ``folder``, and run it on what its inputs should be.

    Fed with the right values, a node that is at fault still gives a wrong one; one that only passes
    on what came to it does not.
    """
    examined = walk.examined
    given = walk.read(region.inputs) | {
        name: walk.feed[name] for name in region.inputs if name in walk.feed
    }
    expected = walk.read([region.tensor])[region.tensor]
    sizes = [size_of(examined.initializers[name]) for name in region.weights]
    total = sum(sizes) + expected.nbytes + sum(array.nbytes for array in given.values())
    if total > MAX_BYTES:
        reason = f"its minimal model would take {total / 1e6:.0f} MB, so none was saved"
        return Reproducer(None, None, reason)
    # The dtypes are the graph's: PyTorch's exporter may have a number where ONNX has a tensor.
    found = examined.run(walk.feed, [region.tensor, *(set(given) - set(walk.feed))])
    given = {name: _as(array, found.get(name, array)) for name, array in given.items()}
    model = _model(examined, region, given, found[region.tensor])
    path = Path(work.path(folder, "model.onnx"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    saved = path.with_name("test_data_set_0")
    shutil.rmtree(saved, ignore_errors=True)  # of a suspect before this one
    write_set(saved, given, {region.tensor: expected})
    reproduces = _differs(path, given, region.tensor, expected, examined.libraries, walk.budget)
    return Reproducer(Artifact.of(work.folder, f"{folder}/model.onnx"), reproduces)


def _model(
    examined: Examined, region: Region, given: Mapping[str, np.ndarray], result: np.ndarray
) -> onnx.ModelProto:
    import onnx
    from onnx import helper

    def info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, kind, array.shape)

    weights = []
    for name in region.weights:
        weight = onnx.TensorProto()
        weight.CopyFrom(examined.initializers[name])
        if onnx.external_data_helper.uses_external_data(weight):
            onnx.external_data_helper.load_external_data_for_tensor(
                weight, str(examined.path.parent)
            )
            weight.data_location = onnx.TensorProto.DEFAULT
            del weight.external_data[:]
        weights.append(weight)
    output = info(region.tensor, result)
    output.type.tensor_type.ClearField("shape")  # a wrong node may give another one
    graph = helper.make_graph(
        region.nodes,
        "divergence",
        [info(name, array) for name, array in given.items()],
        [output],
        weights,
    )
    return helper.make_model(
        graph,
        opset_imports=examined.model.opset_import,
        ir_version=examined.model.ir_version,
        functions=examined.model.functions,
    )


def _differs(
    path: Path,
    given: Mapping[str, np.ndarray],
    tensor: str,
    expected: np.ndarray,
    libraries: Sequence[str],
    budget: Budget,
) -> bool:
    from onnxproof.runtime import open_session

    session = open_session(path, optimization="disabled", libraries=libraries)
    return budget.gap(tensor, expected, session.run(dict(given))[tensor]) is not None


def _as(array: np.ndarray, like: np.ndarray) -> np.ndarray:
    return array.astype(like.dtype).reshape(like.shape if array.size == like.size else array.shape)
