"""What every candidate gets before it is checked: names for its dims, metadata, a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.artifact import Artifact, atomic_write
from onnxproof.errors import ExportError
from onnxproof.graph.external_data import MAX_FILE_BYTES
from onnxproof.graph.traversal import every_node
from onnxproof.records import Candidate, SimplifierName, TensorRecord, Work, label_of
from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    import onnx

STACK_TRACE: Final = ".stack_trace"
"""End of the key of a node's metadata, ``pkg.torch.onnx.stack_trace`` in torch 2.13."""


def name_dims(values: Iterable[onnx.ValueInfoProto], records: Iterable[TensorRecord]) -> None:
    """Give the symbolic dims of graph inputs or outputs the spec's names, in place.

    A dim that the exporter fixed stays fixed: that is for the contract check to refuse.
    """
    wanted = {record.name: record.shape for record in records}
    for value in values:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, wanted.get(value.name, ()), strict=False):
            if not dim.HasField("dim_value") and size != "?":
                if isinstance(size, int):
                    dim.dim_value = size  # the grid saw one size only
                else:
                    dim.dim_param = size


def strip_source_notes(model: onnx.ModelProto) -> None:
    """Take out, in place, the stack trace that an exporter notes at every node.

    It quotes the author's code with the paths of this machine, and consumers would get both.
    """
    for graph in (model.graph, *model.functions):
        for node in every_node(graph.node):
            kept = [prop for prop in node.metadata_props if not prop.key.endswith(STACK_TRACE)]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
            node.ClearField("doc_string")  # where TorchScript's exporter has it


def stamp(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Set metadata properties in place; others stay."""
    kept = {prop.key: prop.value for prop in model.metadata_props} | dict(metadata)
    del model.metadata_props[:]
    for key, value in sorted(kept.items()):
        model.metadata_props.add(key=key, value=value)


def save_candidate(
    model: onnx.ModelProto,
    work: Work,
    *,
    strategy: StrategyName,
    simplifier: SimplifierName,
    variant: str = "",
    seconds: float,
    weights: Artifact | None = None,
) -> Candidate:
    """Write the graph as one file below ``work``'s folder, and describe it.

    A graph whose ``weights`` are outside lies beside them, in ``work``'s folder itself: ONNX opens
    no external data from elsewhere, and none that a link leads to.

    Raises:
        ExportError: The graph is too large for one file.
    """
    size_bytes = model.ByteSize()
    if size_bytes > MAX_FILE_BYTES:
        raise ExportError(
            f"the graph is {size_bytes / 1e9:.1f} GB without the initializers that external data "
            f"takes, an ONNX file holds {MAX_FILE_BYTES / 1e9:.1f} GB at most; register what is a "
            "constant in forward as a buffer or a parameter"
        )
    label = label_of(strategy, simplifier, variant)
    path = f"{label}.onnx" if weights else f"candidates/{label}/model.onnx"
    with atomic_write(Path(work.path(path))) as draft:
        draft.write_bytes(model.SerializeToString())
    return Candidate(
        strategy=strategy,
        simplifier=simplifier,
        variant=variant,
        model=Artifact.of(work.folder, path),
        weights=weights,
        opset=opset_of(model),
        ir_version=model.ir_version,
        nodes=sum(1 for _ in every_node(model.graph.node)),
        seconds=seconds,
    )


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default domain that the graph imports."""
    return next(
        (opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx")), 0
    )
