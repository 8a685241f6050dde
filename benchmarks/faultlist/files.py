"""Faults of files: what lies on the disk is not what was exported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from benchmarks.faultlist.fault import Fault, Victim, graph
from benchmarks.faultlist.models import text
from onnxproof.records import Candidate


def _cut(victim: Victim) -> None:
    os.truncate(victim.weights_path, victim.weights_path.stat().st_size - 4096)


def _truncated_later(victim: Victim) -> Candidate:
    _cut(victim)
    return victim.candidate


def _truncated(victim: Victim) -> Candidate:
    _cut(victim)
    return victim.described()


def _places(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [each for each in model.graph.initializer if uses_external_data(each)]


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
    offsets = [ExternalDataInfo(each).offset for each in (one, other)]
    for tensor, offset in zip((one, other), reversed(offsets), strict=True):
        next(each for each in tensor.external_data if each.key == "offset").value = str(offset)


def _shifted(model: onnx.ModelProto) -> None:
    """A table of words is read one row too late."""
    tensor = next(each for each in _places(model) if each.dims[0] == 2000)
    offset = (ExternalDataInfo(tensor).offset or 0) + 128
    next(each for each in tensor.external_data if each.key == "offset").value = str(offset)


def _elsewhere(victim: Victim) -> Candidate:
    """The weights lie under another name, which nobody ships."""
    other = victim.weights_path.with_name("other.data")
    other.write_bytes(victim.weights_path.read_bytes())
    model = onnx.load(victim.path, load_external_data=False)
    for tensor in _places(model):
        next(each for each in tensor.external_data if each.key == "location").value = other.name
    victim.path.write_bytes(model.SerializeToString())
    return victim.described()


def _older_file(victim: Victim) -> None:
    """The weights of another training run, in a file of the same size."""
    older = {name: each.numpy() for name, each in text(1).state_dict().items()}
    table = np.ascontiguousarray(older["words.weight"])
    model = onnx.load(victim.path, load_external_data=False)
    place = next(each for each in _places(model) if each.dims[0] == 2000)
    with victim.weights_path.open("r+b") as file:
        file.seek(ExternalDataInfo(place).offset or 0)
        file.write(table.tobytes())


def _stale_weights_later(victim: Victim) -> Candidate:
    _older_file(victim)
    return victim.candidate


def _stale_weights(victim: Victim) -> Candidate:
    _older_file(victim)
    return victim.described()


def _older_graph(path: Path) -> None:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array: Any = numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(array * np.float32(1.02), tensor.name))
    path.write_bytes(model.SerializeToString())


def _stale_later(victim: Victim) -> Candidate:
    _older_graph(victim.path)
    return victim.candidate


def _stale(victim: Victim) -> Candidate:
    _older_graph(victim.path)
    return victim.described()


def _removed(victim: Victim) -> Candidate:
    victim.weights_path.unlink()
    return victim.candidate


FILES: Final = (
    Fault("external data truncated later", "a page is missing, after the export", "text_outside",
          "bytes", _truncated_later, quick=True),
    Fault("external data truncated", "the exporter wrote a page too little", "text_outside",
          "structure", _truncated, quick=True),
    Fault("external data removed", "the file of weights is gone", "text_outside", "bytes",
          _removed),
    Fault("external data swapped", "two weights have each other's place", "text_outside",
          "parity", graph(_swapped), quick=True),
    Fault("external data shifted", "a table starts one row too late", "text_outside", "weights",
          graph(_shifted)),
    Fault("external data elsewhere", "the graph names another file", "text_outside", "structure",
          _elsewhere),
    Fault("older external data, later", "another run's weights, after the export",
          "text_outside", "bytes", _stale_weights_later),
    Fault("older external data", "another run's weights from the beginning", "text_outside",
          "weights", _stale_weights),
    Fault("stale file, later", "an older run's graph took its place", "digits", "bytes",
          _stale_later, quick=True),
    Fault("stale file", "an older run's graph, weights 2 % away", "digits", "weights", _stale),
)  # fmt: skip
