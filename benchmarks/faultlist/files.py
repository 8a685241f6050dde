"""Faults of files: what lies on the disk is not what was exported."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from benchmarks.faultlist.fault import Fault, Victim, graph
from benchmarks.faultlist.models import text
from onnxproof.records import Candidate


def _written(change: Callable[[Victim], object]) -> Callable[[Victim], Candidate]:
    """What the exporter itself did: the candidate is described as it lies there."""

    def inject(victim: Victim) -> Candidate:
        change(victim)
        return victim.described()

    return inject


def _later(change: Callable[[Victim], object]) -> Callable[[Victim], Candidate]:
    """What happened after the export: the candidate is described as it was."""

    def inject(victim: Victim) -> Candidate:
        change(victim)
        return victim.candidate

    return inject


def _cut(victim: Victim) -> None:
    os.truncate(victim.weights_path, victim.weights_path.stat().st_size - 4096)


def _places(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [
        initializer for initializer in model.graph.initializer if uses_external_data(initializer)
    ]


def _swapped(model: onnx.ModelProto) -> None:
    """Two weights of one shape change places in the file."""
    tensors = _places(model)
    one, other = next(
        (one, other)
        for index, one in enumerate(tensors)
        for other in tensors[index + 1 :]
        if one.dims == other.dims and len(one.dims) == 2
    )
    _move(one, other)


def _move(one: onnx.TensorProto, other: onnx.TensorProto) -> None:
    offsets = [ExternalDataInfo(weight).offset for weight in (one, other)]
    for tensor, offset in zip((one, other), reversed(offsets), strict=True):
        _note(tensor, "offset", str(offset))


def _note(tensor: onnx.TensorProto, key: str, value: str) -> None:
    next(entry for entry in tensor.external_data if entry.key == key).value = value


def _shifted(model: onnx.ModelProto) -> None:
    """A table of words is read one row too late."""
    tensor = next(place for place in _places(model) if place.dims[0] == 2000)
    offset = (ExternalDataInfo(tensor).offset or 0) + 128
    _note(tensor, "offset", str(offset))


def _elsewhere(victim: Victim) -> None:
    """The weights lie under another name, which nobody ships."""
    other = victim.weights_path.with_name("other.data")
    other.write_bytes(victim.weights_path.read_bytes())
    model = onnx.load(victim.path, load_external_data=False)
    for tensor in _places(model):
        _note(tensor, "location", other.name)
    victim.path.write_bytes(model.SerializeToString())


def _older_file(victim: Victim) -> None:
    """The weights of another training run, in a file of the same size."""
    older = {name: weight.numpy() for name, weight in text(1).state_dict().items()}
    table = np.ascontiguousarray(older["words.weight"])
    model = onnx.load(victim.path, load_external_data=False)
    place = next(tensor for tensor in _places(model) if tensor.dims[0] == 2000)
    with victim.weights_path.open("r+b") as file:
        file.seek(ExternalDataInfo(place).offset or 0)
        file.write(table.tobytes())


def _older_graph(victim: Victim) -> None:
    model = onnx.load(victim.path)
    for tensor in model.graph.initializer:
        array: Any = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array * np.float32(1.02), tensor.name))
    victim.path.write_bytes(model.SerializeToString())


FILES: Final = (
    Fault("external data truncated later", "a page is missing, after the export", "text_outside",
          "bytes", _later(_cut), quick=True),
    Fault("external data truncated", "the exporter wrote a page too little", "text_outside",
          "structure", _written(_cut), quick=True),
    Fault("external data removed", "the file of weights is gone", "text_outside", "bytes",
          _later(lambda victim: victim.weights_path.unlink())),
    Fault("external data swapped", "two weights have each other's place", "text_outside",
          "parity", graph(_swapped), quick=True),
    Fault("external data shifted", "a table starts one row too late", "text_outside", "weights",
          graph(_shifted)),
    Fault("external data elsewhere", "the graph names another file", "text_outside", "structure",
          _written(_elsewhere)),
    Fault("older external data, later", "another run's weights, after the export",
          "text_outside", "bytes", _later(_older_file)),
    Fault("older external data", "another run's weights from the beginning", "text_outside",
          "weights", _written(_older_file)),
    Fault("stale file, later", "an older run's graph took its place", "digits", "bytes",
          _later(_older_graph), quick=True),
    Fault("stale file", "an older run's graph, weights 2 % away", "digits", "weights",
          _written(_older_graph)),
)  # fmt: skip
