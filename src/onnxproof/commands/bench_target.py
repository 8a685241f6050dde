"""What ``onnxproof bench`` times: a registered version, a proof's folder, or any ONNX file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.errors import BadInput, SpecError, one_line
from onnxproof.records import Proof
from onnxproof.samples.grid import Sizes
from onnxproof.spec import Spec
from onnxproof.spec.dims import Dim
from onnxproof.spec.inputs import DTYPES, InputSpec

if TYPE_CHECKING:
    import onnx

REGISTRY: Final = re.compile(r"(models|runs):/")
PROOF: Final = "proof.json"


class Subject(NamedTuple):
    """A model on this disk, and what it takes."""

    label: str
    path: Path
    size_bytes: int
    inputs: Mapping[str, InputSpec]
    dims: Mapping[str, Dim]
    spec: Spec | None  # of the proof that it carries

    @property
    def takes(self) -> dict[str, str]:
        """Dtypes by input, which two that are compared must share."""
        return {name: input_spec.dtype for name, input_spec in self.inputs.items()}


def subject_of(
    model: str, folder: Path, lines: Mapping[str, str], points: Iterable[Sizes]
) -> Subject:
    """Find the model that is meant.

    Args:
        model: ``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, a folder that holds a proof, or a
            file.
        folder: For what the registry has.
        lines: Of a file's inputs, instead of what its graph says: ``int64[batch, seq] in 0..999``.
        points: Sizes that it will be timed at.

    Raises:
        BadInput: There is no such model, it is no ONNX file, or an input cannot be drawn.
        RegisterError: What MLflow gives back is not the proven file.
        ServerUnreachable: MLflow does not answer.
    """
    if REGISTRY.match(model):
        from onnxproof.tracking import describe, download

        proof, registration = describe(model)
        label = f"{registration.name} version {registration.version}"
        return _proven(label, proof, download(model, folder))
    path = Path(model)
    if path.is_dir() or (path.parent / PROOF).is_file():
        return _from_folder(model, path)
    if not path.is_file():
        raise BadInput(
            f"there is no {model}; give an ONNX file, a folder with a proof, models:/NAME/VERSION "
            "or models:/NAME@ALIAS"
        )
    inputs, dims = _of_graph(_read(path), lines, tuple(points), model)
    return Subject(path.name, path, _size(path), inputs, dims, None)


def _from_folder(model: str, path: Path) -> Subject:
    from onnxproof.proof.manifest import read_proof

    folder = path if path.is_dir() else path.parent
    try:
        proof = read_proof(folder / PROOF)
    except OSError as error:
        raise BadInput(f"cannot read a proof in {folder}: {one_line(error, 200)}") from None
    chosen = (folder / proof.chosen.model.path).resolve()
    if path.is_file() and path.resolve() != chosen:
        raise BadInput(
            f"{model} lies beside the proof of {chosen.name}; give the folder, or copy the file "
            "elsewhere"
        )
    return _proven(f"{proof.name} of {folder.name}", proof, folder)


def _proven(label: str, proof: Proof, folder: Path) -> Subject:
    """Hold the files to the proof's digests."""
    chosen = proof.chosen
    if not chosen.unchanged(folder):
        raise BadInput(
            f"the files in {folder} are not those of the proof of {proof.name}; "
            "`onnxproof verify` says which"
        )
    path = folder / chosen.model.path
    return Subject(label, path, chosen.size_bytes, proof.spec.inputs, proof.spec.dims, proof.spec)


def _read(path: Path) -> onnx.ModelProto:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own class
        raise BadInput(f"{path} is no ONNX file: {one_line(error, 200)}") from None
    if not model.graph.node:
        raise BadInput(f"{path} is no ONNX file that computes anything: its graph has no nodes")
    return model


def _size(path: Path) -> int:
    """Bytes of the graph and of the files with its weights."""
    from onnxproof.graph.traversal import tensors_of

    locations = {
        entry.value
        for tensor in tensors_of(_read(path))
        for entry in tensor.external_data
        if entry.key == "location"
    }
    try:
        return sum(
            file.stat().st_size for file in (path, *(path.parent / name for name in locations))
        )
    except OSError as error:
        raise BadInput(f"{path} needs {error.filename}, which is not there") from None


def _of_graph(
    model: onnx.ModelProto, lines: Mapping[str, str], points: tuple[Sizes, ...], name: str
) -> tuple[dict[str, InputSpec], dict[str, Dim]]:
    """Inputs and dims of a graph; those sizes are allowed that are asked for."""
    weights = {initializer.name for initializer in model.graph.initializer}
    values = [graph_input for graph_input in model.graph.input if graph_input.name not in weights]
    if unknown := sorted(set(lines) - {value.name for value in values}):
        raise BadInput(
            f"--input names {', '.join(unknown)}, {name} takes "
            f"{', '.join(value.name for value in values)}"
        )
    inputs, names = {}, set[str]()
    for value in values:
        shape = _shape(value)
        names |= {size for size in shape if isinstance(size, str)}
        inputs[value.name] = _input(value, shape, lines.get(value.name), name)
    asked = {dim for point in points for dim in point}
    if unknown := sorted(asked - names):
        raise BadInput(f"--at names {', '.join(unknown)}; {name} has the dims {_listed(names)}")
    sizes = {dim: [point[dim] for point in points if dim in point] for dim in names}
    if missing := sorted(dim for dim in names if len(sizes[dim]) < max(len(points), 1)):
        example = ",".join(f"{dim}=8" for dim in sorted(names))
        raise BadInput(
            f"{name} takes any size of {', '.join(missing)}, and at which it is fast is the "
            f"question: add --at {example}, once for each point"
        )
    return inputs, {
        dim: Dim(min=min(dim_sizes), max=max(dim_sizes)) for dim, dim_sizes in sizes.items()
    }


def _shape(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    """Sizes, and names of those that are free, as a spec may write them."""
    return tuple(
        dimension.dim_value
        if dimension.HasField("dim_value")
        else re.sub(r"\W", "_", dimension.dim_param or f"{value.name}_{axis}")
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim)
    )


def _input(
    value: onnx.ValueInfoProto, shape: tuple[int | str, ...], line: str | None, name: str
) -> InputSpec:
    import onnx_ir
    from pydantic import ValidationError

    kind = onnx_ir.DataType(value.type.tensor_type.elem_type)
    dtype = {"float": "float32", "double": "float64"}.get(kind.name.lower(), kind.name.lower())
    if dtype not in DTYPES:
        raise BadInput(f"{name} takes {value.name} of {dtype}; bench draws {', '.join(DTYPES)}")
    fields: dict[str, Any] = {"dtype": dtype, "shape": shape}
    if "int" in dtype:
        fields |= {"low": 0, "high": 1}  # an index that every table has
    try:
        return InputSpec.model_validate(line or fields)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SpecError(f"cannot draw the input {value.name} of {name}: {reason}") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
