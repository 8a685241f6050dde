"""Where a graph begins to say something else than what it was made from."""

from __future__ import annotations

from onnxproof.artifact import Artifact
from onnxproof.records.base import Difference, Record


class Divergence(Record):
    """The first tensor of a graph that is beyond its budget; ``tensor`` is empty where none is."""

    against: str  # "PyTorch", or the label of the plain graph
    tensor: str = ""
    node: str = ""  # that gives the tensor
    operator: str = ""  # of that node, "Conv"
    among: tuple[str, ...] = ()  # other nodes that may be to blame: none of theirs is compared
    module: str = ""  # path of the nn.Module, as in named_modules(); "" is the model itself
    line: str = ""  # "model.py:12"
    max_abs_diff: Difference | None = None
    budget: float | None = None  # at that element
    worst_set: str = ""  # the test_data_set that was walked
    worst_index: tuple[int, ...] = ()
    reproducer: Artifact | None = None  # the nodes alone, with test_data_set_0 beside them
    reproduces: bool | None = None  # whether they differ alone, fed with the right values
    reason: str = ""  # what is not known, or what else was found

    @property
    def sentence(self) -> str:
        """For a refusal."""
        if not self.tensor:
            return self.reason
        others = f" or {self.among[0]}" if self.among else ""
        if len(self.among) > 1:
            others = f" or one of {len(self.among)} before it"
        where = f" in {self.module}" if self.module else ""
        where += f", {self.line}" if self.line else ""
        return f"first wrong at node {self.node} ({self.operator}){others}{where}"
