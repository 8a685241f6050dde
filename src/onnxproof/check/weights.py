"""Are the graph's weights the module's: matched by bytes, so that no sample needs to touch them.

A large tensor of the graph is the module's own as it is, transposed, as a part, with others or in a
form that is recomputed. What is none of these is listed; a plain copy that differs is a fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.graph.traversal import nodes_of, size_of, tensors_of
from onnxproof.records import Candidate, UnmatchedTensor, Verdict, WeightMatch, Work
from onnxproof.spec.nested_inputs import INNER
from onnxproof.units import count, in_bytes
from onnxproof.weights.match import FILE, LARGE_BYTES, Known, Match, State
from onnxproof.weights.sketch import Sketch, in_rows, sketch

if TYPE_CHECKING:
    import numpy as np
    import onnx

LISTED: Final = 20
SHOWN: Final = 3
ALIKE: Final = 0.75
"""Rows that a damaged copy without the name has in common with the tensor that it is a copy of."""


class Held(NamedTuple):
    """A large tensor of the graph."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    tensor: onnx.TensorProto

    @property
    def itemsize(self) -> int:
        """Bytes of an element; 1 where they are packed below eight bits."""
        return max(1, self.size_bytes // max(1, prod(self.shape)))


def check_weights(work: Work, candidate: Candidate) -> tuple[Verdict, WeightMatch]:
    """The verdict ``weights``, and what each tensor was matched with."""
    import onnx

    model = onnx.load(work.path(candidate.model.path), load_external_data=False)
    state = State(Path(work.path(FILE)))
    held = list(large_tensors(model))
    matches = {tensor.name: _match(tensor, state, work) for tensor in held}
    faults = list(_faults(held, matches, state, work))
    weight_match = _weight_match(held, matches, state)
    if faults:
        return Verdict(
            name="weights", outcome="failed", reason="; ".join(faults[:SHOWN])
        ), weight_match
    return Verdict(
        name="weights", outcome="passed", reason=_summary(weight_match, state)
    ), weight_match


def large_tensors(model: onnx.ModelProto) -> Iterator[Held]:
    """Initializers and constants of ``LARGE_BYTES`` and more, each by a name of its own."""
    import onnx_ir

    constants = {
        id(attribute.t): node.output[0]
        for node in nodes_of(model)
        if node.op_type == "Constant"
        for attribute in node.attribute
    }
    seen: set[str] = set()
    for number, tensor in enumerate(tensors_of(model)):
        kind = onnx_ir.DataType(tensor.data_type)
        if kind == onnx_ir.DataType.STRING or size_of(tensor) < LARGE_BYTES:
            continue
        name = tensor.name or constants.get(id(tensor)) or f"constant {number}"
        name = f"{name} ({number})" if name in seen else name
        seen.add(name)
        dtype = {"float": "float32", "double": "float64"}.get(kind.name.lower(), kind.name.lower())
        yield Held(name, dtype, tuple(tensor.dims), size_of(tensor), tensor)


def bytes_of(held: Held, work: Work) -> Any:
    """A buffer with its elements; of external data a map of that piece of the file."""
    import numpy as np
    from onnx import numpy_helper
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    if uses_external_data(held.tensor):
        info = ExternalDataInfo(held.tensor)
        path, offset = work.path(info.location), info.offset or 0
        return np.memmap(path, np.uint8, mode="r", offset=offset, shape=(held.size_bytes,))
    if held.tensor.raw_data:
        return held.tensor.raw_data
    return np.ascontiguousarray(numpy_helper.to_array(held.tensor)).reshape(-1).view(np.uint8)


def _match(held: Held, state: State, work: Work) -> Match | None:
    data = bytes_of(held, work)
    if found := state.find(hashlib.sha256(data).hexdigest()):
        return found
    if found := state.recognize(_sketch(held, data)):
        return found
    array = _floats(held, data)
    return None if array is None else state.unfold(array, held.dtype, _namesakes(held, state))


def _sketch(held: Held, data: Any) -> Sketch:
    if held.itemsize * prod(held.shape) != held.size_bytes:  # packed below eight bits
        return sketch(data, 1, (held.size_bytes,))
    return sketch(data, held.itemsize, held.shape)


def _floats(held: Held, data: Any) -> np.ndarray | None:
    import numpy as np

    if held.dtype == "bfloat16":
        wide = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        return wide.view(np.float32).reshape(held.shape)
    if held.dtype in ("float16", "float32", "float64"):
        return np.frombuffer(data, held.dtype).reshape(held.shape)
    return None


def _namesakes(held: Held, state: State) -> list[Known]:
    """Tensors that the exporter can mean by this name; a module may stand inside one of ours."""
    names = [held.name]
    while names[-1].startswith(f"{INNER}.") and len(names) < 3:
        names.append(names[-1].removeprefix(f"{INNER}."))
    return [state.by_name[name] for name in names if name in state.by_name]


def _faults(
    held: Sequence[Held], matches: dict[str, Match | None], state: State, work: Work
) -> Iterator[str]:
    taken = {known for match in matches.values() if match for known in match.known}
    for tensor in held:
        match = matches[tensor.name]
        same = [known for known in _namesakes(tensor, state) if _could_be(tensor, known)]
        if same and not (match and set(same) & set(match.known)):
            if match:
                yield f"{tensor.name!r} holds the module's {match.known[0].names[0]}"
            else:
                yield from _difference(tensor, same[0], state, work, least=0.0)
        elif match is None:
            for known in state.large:
                if known not in taken and _could_be(tensor, known):
                    yield from _difference(tensor, known, state, work, least=ALIKE)
            array = _floats(tensor, bytes_of(tensor, work))
            if array is not None and (fold := state.misfold(array, tensor.dtype, ALIKE)):
                yield f"{tensor.name!r} differs from the module's {fold}"


def _could_be(held: Held, known: Known) -> bool:
    if known.changed or known.dtype != held.dtype or known.size_bytes != held.size_bytes:
        return False
    mine, its = ([size for size in shape if size != 1] for shape in (held.shape, known.shape))
    return mine in (its, its[::-1])


def _difference(
    held: Held, known: Known, state: State, work: Work, *, least: float
) -> Iterator[str]:
    """How the two differ, when at least that share of the rows is the same."""
    seen, own = _sketch(held, bytes_of(held, work)), state.sketch(known)
    for rows, columns in ((own.rows, own.columns), (own.columns, own.rows)):
        if len(rows) != len(seen.rows) or not len(rows):
            continue
        different = (rows != seen.rows).nonzero()[0]
        if not len(different) or (rows == seen.rows).mean() < least:
            continue
        what = "row" if in_rows(held.shape) else "block"
        where = f"the first is {different[0]}"
        if len(different) == 1 and len(columns) == len(seen.columns) > 0:
            wrong = (columns != seen.columns).nonzero()[0]
            where = f"{count(len(wrong), 'element')}, the first at [{different[0]}, {wrong[0]}]"
        yield (
            f"{held.name!r} differs from the module's {known.names[0]} in {len(different)} of "
            f"{len(rows)} {what}s ({where})"
        )
        return


def _weight_match(
    held: Sequence[Held], matches: dict[str, Match | None], state: State
) -> WeightMatch:
    total = sum(tensor.size_bytes for tensor in held)
    by_kind: dict[str, int] = {}
    left = []
    for tensor in held:
        if match := matches[tensor.name]:
            by_kind[match.kind] = by_kind.get(match.kind, 0) + tensor.size_bytes
        else:
            left.append(tensor)
    left.sort(key=lambda tensor: -tensor.size_bytes)
    taken = {known for match in matches.values() if match for known in match.known}
    missing = [known.names[0] for known in state.large if known not in taken]
    return WeightMatch(
        size_bytes=total,
        tensors=len(held),
        matched=dict(sorted(by_kind.items(), key=lambda item: -item[1])),
        unmatched=tuple(
            UnmatchedTensor(
                name=tensor.name,
                dtype=tensor.dtype,
                shape=tensor.shape,
                size_bytes=tensor.size_bytes,
                share=tensor.size_bytes / total,
            )
            for tensor in left[:LISTED]
        ),
        unmatched_bytes=sum(tensor.size_bytes for tensor in left),
        missing=tuple(missing[:LISTED]),
    )


def _summary(weight_match: WeightMatch, state: State) -> str:
    if not state.large:
        return f"the module has no tensor of {LARGE_BYTES} bytes or more"
    if not weight_match.tensors:
        return f"the graph holds no tensor of {LARGE_BYTES} bytes or more"
    parts = [
        f"{kind} {_share(size / weight_match.size_bytes)}"
        for kind, size in weight_match.matched.items()
    ]
    held = f"{in_bytes(weight_match.size_bytes)} in {count(weight_match.tensors, 'tensor')}"
    kinds = f" ({', '.join(parts)})" if parts else ""
    summary = f"{_share(weight_match.share)} of {held} are the module's own{kinds}"
    if not weight_match.unmatched:
        return summary
    named = [
        f"{entry.name} {in_bytes(entry.size_bytes)}" for entry in weight_match.unmatched[:SHOWN]
    ]
    more = ["..."] if weight_match.unmatched[SHOWN:] else []
    return f"{summary}; not matched: {', '.join(named + more)}"


def _share(part: float) -> str:
    """In per cent; what is not all of it is never said to be."""
    return f"{min(part, 0.999) if part < 1 else 1:.1%}".replace("%", " %")
