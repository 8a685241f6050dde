"""PyTorch's own values by the names of the exported program, which are those of dynamo's graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import ExportError
from onnxproof.export.operators.log import OperatorLog, replaced
from onnxproof.records import Work
from onnxproof.runtime.intermediates import FOLLOWERS
from onnxproof.samples.generate import Feed
from onnxproof.spec import StrategyName

if TYPE_CHECKING:
    import numpy as np
    import torch

    from onnxproof.source.module import SourceModule

KEPT_BYTES: Final = 512 * 2**20
"""Of a program's values; beyond that it is run again for every chunk of them."""


class ProgramValues:
    """The exported program, run node by node on one sample."""

    def __init__(self, program: torch.export.ExportedProgram, source: SourceModule, feed: Feed):
        self._module = program.graph_module
        self._inputs = program._graph_module_flat_inputs(*source.arguments(feed))
        calls = [node for node in self._module.graph.nodes if node.op == "call_function"]
        self._nodes = {node.name: node for node in calls}
        self.names = set(self._nodes)
        self._kept: dict[str, np.ndarray] | None = None
        self._too_large = False

    def read(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Values by name; what is no tensor and no number is left out."""
        asked = set(names)
        if self._kept is None:
            kept = self._run(lambda name: not self._too_large or name in asked)
            if self._too_large:
                return {name: array for name, array in kept.items() if name in asked}
            self._kept = kept
        return {name: self._kept[name] for name in asked if name in self._kept}

    def following(self, name: str) -> Iterator[str]:
        """Along the only uses."""
        node = self._nodes.get(name)
        for _ in range(FOLLOWERS):
            users = list(node.users) if node is not None else []
            if len(users) != 1 or users[0].op != "call_function":
                return
            node = users[0]
            yield node.name

    def _run(self, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
        import torch

        kept: dict[str, np.ndarray] = {}
        values = self

        class Notes(torch.fx.Interpreter):
            def run_node(self, n: torch.fx.Node) -> Any:
                result = super().run_node(n)
                if n.name in values.names and wanted(n.name):
                    if (array := array_of(result)) is not None:
                        kept[n.name] = array
                    if sum(value.nbytes for value in kept.values()) > KEPT_BYTES:
                        values._too_large = True
                return result

        with torch.no_grad():
            Notes(self._module).run(*self._inputs)
        return kept


def exported_program(
    source: SourceModule, work: Work, strategy: StrategyName, opset: int
) -> torch.export.ExportedProgram:
    """The program that dynamo's exporter translates, decomposed as it does; nothing is translated.

    Raises:
        ExportError: There is none.
    """
    from torch.onnx._internal.exporter import _core

    from onnxproof.export.exporter import run_exporter

    found: list[torch.export.ExportedProgram] = []

    @functools.wraps(_core._exported_program_to_onnx_program)  # it is asked for its name
    def take(program: Any, **_options: Any) -> Any:
        found.append(program)
        raise ExportError("the program is all that was wanted")

    with replaced(_core, "_exported_program_to_onnx_program", take):
        try:
            run_exporter(source, work, strategy, [], OperatorLog(strategy, opset, work.roots))
        except ExportError:
            if not found:
                raise
    return found[0]


def array_of(value: Any) -> np.ndarray | None:
    """A tensor or a number as ONNX Runtime would give it; None for anything else."""
    import numpy as np
    import torch

    if isinstance(value, (bool, int, float)):
        return np.asarray(value)
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return None
    tensor = value.detach().cpu()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())  # as dynamo's exporter writes them
    if tensor.dtype == torch.bfloat16:
        return None  # NumPy has none, and ONNX Runtime gives none
    return tensor.contiguous().numpy().copy()
