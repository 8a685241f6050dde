"""A graph whose every tensor can be asked for, not only its outputs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onnxproof.graph.traversal import every_node
from onnxproof.records import Candidate, Work
from onnxproof.runtime import Optimization, open_session
from onnxproof.samples.generate import Feed

if TYPE_CHECKING:
    import numpy as np
    import onnx

FOLLOWERS: Final = 3
"""How many operators a simplifier folds into the one before: a bias, a batch norm, a Relu."""


class Examined:
    """The graph of a candidate, run by ONNX Runtime as it is written, without optimizations."""

    def __init__(self, work: Work, candidate: Candidate, libraries: Sequence[str]) -> None:
        import onnx

        self.path = Path(work.path(candidate.model.path))
        self.libraries = libraries
        self.model = onnx.load(self.path, load_external_data=False)
        self.nodes = list(self.model.graph.node)
        self.made_by = {name: node for node in self.nodes for name in node.output if name}
        # What a constant holds is no result; the node that uses it is examined.
        self.order = [name for name, node in self.made_by.items() if node.op_type != "Constant"]
        self.outputs = [graph_output.name for graph_output in self.model.graph.output]
        self.initializers = {
            initializer.name: initializer for initializer in self.model.graph.initializer
        }
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in names_read(node):
                self._users.setdefault(name, []).append(node)

    def run(
        self, feed: Feed, names: Iterable[str], optimization: Optimization = "disabled"
    ) -> dict[str, np.ndarray]:
        """Values of the tensors ``names``; what is no tensor, such as a sequence, is left out."""
        import numpy as np
        import onnx

        graph = self.model.graph
        before = list(graph.output)
        known = {output.name: output for output in before}
        try:
            del graph.output[:]
            graph.output.extend(
                known.get(name) or onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names)
            )
            data = self.model.SerializeToString()
        finally:
            del graph.output[:]
            graph.output.extend(before)
        with self.beside(data) as path:
            session = open_session(path, optimization=optimization, libraries=self.libraries)
            values = session.run(feed)
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @contextmanager
    def beside(self, data: bytes) -> Iterator[Path]:
        """A file with ``data`` in the graph's own folder, where its weights may be."""
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".walk-", suffix=".onnx")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            yield Path(name)
        finally:
            Path(name).unlink()

    def following(self, name: str) -> Iterator[str]:
        """Tensors that an optimizer may have folded into ``name``: along its only uses."""
        for _ in range(FOLLOWERS):
            users = self._users.get(name, [])
            if len(users) != 1 or len(users[0].output) != 1 or name in self.outputs:
                return
            name = users[0].output[0]
            yield name


class GraphValues:
    """The tensors of a plain graph, as the reference for what a simplifier made of it."""

    def __init__(self, plain: Examined, feed: Feed) -> None:
        self.names = set(plain.order)
        self.following = plain.following
        self._plain, self._feed = plain, feed

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Values by name."""
        return self._plain.run(self._feed, names)


def names_read(node: onnx.NodeProto) -> set[str]:
    """Tensors of the graph around that ``node`` reads, in its branches and bodies too."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in every_node(attribute.g.node):
            names.update(inner.input)
        names.update(output.name for output in attribute.g.output)
    return names - {""}
