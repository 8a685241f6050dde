"""Weights beside the graph, as ONNX external data: written once, and not loaded to work on a graph.

A graph whose weights are outside holds, for each big initializer, its name, type and place in one
file. Whatever works on the graph alone sees those initializers as graph inputs: a simplifier that
sees them without their data takes different ones for the same, and drops additions of them.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, NamedTuple

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.graph.traversal import names_used
from onnxproof.records import Work

if TYPE_CHECKING:
    import onnx
    import onnx_ir

    Weights = Mapping[str, onnx_ir.TensorProtocol]

Mode = Literal["auto", "always"]
Offsets = dict[str, tuple[int, int]]
"""Offset and length by the name of the initializer."""

MAX_FILE_BYTES: Final = 1_800_000_000
"""protobuf refuses messages of 2 GiB; a margin for what is no weight."""
BIG_BYTES: Final = 1024
"""Initializers from this size on go out, as in onnx's own ``size_threshold``: shape inference needs
the data of small ones."""
ALIGNMENT: Final = 4096
"""Of each tensor in the file, so that ONNX Runtime can map it instead of reading it."""
CHUNK_BYTES: Final = 1 << 20
SUFFIX: Final = ".onnx.data"
"""Of the file with the weights of the graph that is named likewise, without ``.data``."""


class Exported(NamedTuple):
    """A graph as an exporter left it; ``weights`` are those whose data is not in ``model``."""

    model: onnx.ModelProto
    weights: Weights


def goes_outside(size_bytes: int, mode: Mode) -> bool:
    """Whether weights of this size are kept beside the graph."""
    return mode == "always" or size_bytes > MAX_FILE_BYTES


def unload(model: onnx_ir.Model, mode: Mode) -> Exported:
    """The graph as a proto, with its weights in it or, where they go outside, as they are.

    Tensors that share the module's memory go on sharing it.
    """
    import onnx_ir

    initializers = model.graph.initializers
    tensors = {
        name: initializer.const_value
        for name, initializer in initializers.items()
        if initializer.const_value is not None
    }
    if not goes_outside(sum(tensor.nbytes for tensor in tensors.values()), mode):
        return Exported(onnx_ir.to_proto(model), {})
    big = {name: tensor for name, tensor in tensors.items() if tensor.nbytes >= BIG_BYTES}
    for name, tensor in big.items():
        shape = onnx_ir.Shape(tensor.shape.numpy())
        initializers[name].const_value = onnx_ir.ExternalTensor(
            "", 0, tensor.nbytes, tensor.dtype, shape=shape, name=name
        )
    return Exported(onnx_ir.to_proto(model), big)


def store(exported: Exported, work: Work, name: str) -> Artifact | None:
    """See to it that a file beside the graph holds its weights, and note their places in the graph.

    A file that another strategy wrote is taken where it holds them all, else ``name`` is written.

    Returns:
        The file; None when the graph holds all of its weights.
    """
    if not exported.weights:
        return None
    for other in sorted(Path(work.folder).glob(f"*{SUFFIX}")):
        if offsets := _offsets_in(other, exported.weights):
            _note(exported.model, other.name, offsets)
            return Artifact.of(work.folder, other.name)
    with atomic_write(Path(work.path(name))) as draft, draft.open("w+b") as file:
        writer = _Writer(file)
        offsets = {
            key: writer.append(_bytes_of(weight)) for key, weight in exported.weights.items()
        }
        file.flush()
    _note(exported.model, name, offsets)
    return Artifact(path=name, sha256=writer.digest.hexdigest(), size_bytes=writer.size_bytes)


def _note(model: onnx.ModelProto, location: str, offsets: Offsets) -> None:
    for initializer in outside(model):
        offset, length = offsets[initializer.name]
        del initializer.external_data[:]
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            initializer.external_data.add(key=key, value=str(value))


def _offsets_in(path: Path, weights: Weights) -> Offsets:
    """Where each of the weights lies in a file that is there already; empty unless all do."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo

    graph = path.with_suffix("")
    if not graph.is_file():
        return {}
    offsets = {}
    with path.open("rb") as file:
        stored = _Stored(file)
        for initializer in outside(onnx.load(graph, load_external_data=False)):
            info = ExternalDataInfo(initializer)
            if info.location == path.name:
                stored.offsets[int(info.length or 0)].append(int(info.offset or 0))
        for name, tensor in weights.items():
            data = _bytes_of(tensor)
            if (offset := stored.find(data)) is None:
                return {}
            offsets[name] = (offset, len(data))
    return offsets


class _Stored:
    """The tensors in a file: offsets by length."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.offsets: dict[int, list[int]] = defaultdict(list)

    def find(self, data: memoryview) -> int | None:
        """Offset of these very bytes."""
        return next(
            (offset for offset in self.offsets[len(data)] if self._holds(offset, data)), None
        )

    def _holds(self, offset: int, data: memoryview) -> bool:
        return all(
            os.pread(self.file.fileno(), CHUNK_BYTES, offset + start)[: len(data) - start]
            == data[start : start + CHUNK_BYTES]
            for start in range(0, len(data), CHUNK_BYTES)
        )


class _Writer(_Stored):
    """Appends tensors to a file; bytes that are in it already, as of a tied weight, stay one."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def append(self, data: memoryview) -> tuple[int, int]:
        """Offset and length of these bytes in the file."""
        self.file.flush()
        offset = self.find(data)
        if offset is None:
            self._append(bytes(-self.size_bytes % ALIGNMENT))
            offset = self.size_bytes
            self._append(data)
            self.offsets[len(data)].append(offset)
        return offset, len(data)

    def _append(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.size_bytes += len(data)


def _bytes_of(tensor: onnx_ir.TensorProtocol) -> memoryview:
    """The tensor's bytes without a copy; a transposed one is copied, alone."""
    import numpy as np

    array = np.ascontiguousarray(tensor.numpy())
    if array.nbytes != tensor.nbytes:  # types of four bits, which NumPy does not pack
        return memoryview(tensor.tobytes())
    return array.reshape(-1).view(np.uint8).data


def outside(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """Initializers whose data is not in the graph."""
    from onnx.external_data_helper import uses_external_data

    return [
        initializer for initializer in model.graph.initializer if uses_external_data(initializer)
    ]


def on_graph_alone(
    model: onnx.ModelProto, change: Callable[[onnx.ModelProto], onnx.ModelProto]
) -> onnx.ModelProto:
    """What ``change`` makes of the graph, whose weights outside are graph inputs meanwhile.

    A weight that the changed graph does not use any more is gone from it; its bytes stay.
    """
    import onnx

    weights = {weight.name: weight for weight in outside(model)}
    if not weights:
        return change(model)
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    _keep(opened.graph.initializer, lambda initializer: initializer.name not in weights)
    opened.graph.input.extend(
        onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        for weight in weights.values()
    )
    changed = change(opened)
    used = names_used(changed.graph)
    _keep(changed.graph.input, lambda graph_input: graph_input.name not in weights)
    changed.graph.initializer.extend(weight for name, weight in weights.items() if name in used)
    return changed


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    kept = [entry for entry in entries if wanted(entry)]
    del entries[:]
    entries.extend(kept)
