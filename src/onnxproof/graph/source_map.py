"""Which module and which line of the author's code each tensor of a graph comes from.

It is noted beside the graph while the exporter still tells, and never in the graph: that travels.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.artifact import atomic_write
from onnxproof.graph.finalize import STACK_TRACE
from onnxproof.records import SourceLocation, Work
from onnxproof.usercode.source_lines import author_line

if TYPE_CHECKING:
    import onnx

SCOPES: Final = ".name_scopes"
"""End of the key of a node's metadata, ``pkg.torch.onnx.name_scopes`` in torch 2.13."""

SourceMap = dict[str, SourceLocation]


def save_source_map(
    model: onnx.ModelProto, work: Work, label: str, modules: Collection[str], outer: str
) -> None:
    """Write the places of a graph's tensors, as its exporter noted them, beside the graph.

    Args:
        model: With stack traces, before they are taken out.
        work: Gets the file; its roots are what lines are named from.
        label: Of the candidate.
        modules: Paths of the module's submodules.
        outer: Name of the author's module in one that was put around it; empty where none was.
    """
    noted_locations: dict[str, list[str]] = {}
    for node in model.graph.node:
        module, trace = _noted(node, modules)
        if outer and module.partition(".")[0] == outer:
            module = module.partition(".")[2]
        line = author_line(trace, work.roots)
        noted_locations |= {name: [module, line] for name in node.output if name}
    with atomic_write(_file(work, label)) as draft:
        draft.write_text(json.dumps(noted_locations), encoding="utf-8")


def read_source_map(work: Work, label: str) -> SourceMap:
    """Tensor to place, of the graph that an exporter gave; empty where nothing was noted."""
    file = _file(work, label)
    noted = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {
        name: SourceLocation(module=location[0], line=location[1])
        for name, location in noted.items()
    }


def modules_of(work: Work, label: str) -> dict[str, str]:
    """Tensor to the path of the module it comes from, as ``read_source_map``."""
    return {name: location.module for name, location in read_source_map(work, label).items()}


def modules_named_in(path: Path) -> dict[str, str]:
    """Tensor to module, as far as an ONNX file says it by itself.

    One by dynamo does, until onnxsim drops what its nodes carry; one by TorchScript in the names
    of its nodes.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    return {
        name: _noted(node, ())[0]
        for node in model.graph.node
        if node.name.startswith("/") or any(n.key.endswith(SCOPES) for n in node.metadata_props)
        for name in node.output
    }


def scope_of(name: str, modules: Collection[str]) -> str:
    """``layers.0.fc`` of ``/layers/layers.0/fc/MatMul``, as TorchScript's exporter names nodes.

    The second call of a module is ``fc_1``.
    """
    path: list[str] = []
    for part in name.split("/")[1:-1]:
        # A child of a container has the container's name in front of its own.
        path.append(part.removeprefix(f"{path[-1]}.") if path else part)
    joined = ".".join(path)
    known = {"", *modules}
    first = re.sub(r"_\d+$", "", joined)
    return first if joined not in known and first in known else joined


def _noted(node: onnx.NodeProto, modules: Collection[str]) -> tuple[str, str]:
    """The module's path and the stack trace of a node."""
    notes: Mapping[str, str] = {prop.key: prop.value for prop in node.metadata_props}
    trace = next((text for key, text in notes.items() if key.endswith(STACK_TRACE)), "")
    scopes = next((text for key, text in notes.items() if key.endswith(SCOPES)), "")
    if not scopes:
        return scope_of(node.name, modules), trace or node.doc_string
    listed: Sequence[str] = ast.literal_eval(scopes)
    return (listed[-2] if len(listed) > 1 else ""), trace


def _file(work: Work, label: str) -> Path:
    return Path(work.path("candidates", label, "places.json"))
