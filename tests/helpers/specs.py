"""Specs, work folders and sources that several tests start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onnxproof.records import Reference, Work
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.source.module import SourceModule, source_module
from onnxproof.spec import Spec, parse_spec

ROOT = Path(__file__).parents[2]
ROWS = {"inputs": {"x": "float32[batch, 4]"}, "dims": {"batch": {"max": 8}}}


def spec_of(factory: str = "linear", **sections: Any) -> Spec:
    """A spec of ``tests.helpers.models:FACTORY``; without inputs it takes rows of four floats."""
    source = {"factory": f"tests.helpers.models:{factory}", **sections.pop("source", {})}
    rows = {} if "inputs" in sections else ROWS
    return parse_spec({"name": "toy", "source": source, **rows, **sections})


def work_in(folder: Path, *roots: Path) -> Work:
    """A work folder whose roots are ``roots`` and this repository."""
    return Work(
        folder=str(folder),
        roots=tuple(map(str, (*roots, ROOT))),
        allow=(),
        metadata={},
        local_code=True,
    )


def source_of(module: nn.Module, **sections: Any) -> SourceModule:
    """A module that a test made itself, in eval mode."""
    spec = spec_of(**sections)
    return source_module(module.eval(), spec)


class Does(nn.Module):
    """Runs a function of its one input, named ``x``."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def write_reference(folder: Path, module: nn.Module, **sections: Any) -> Reference:
    """What the load stage saves of a module that a test made itself."""
    return ReferenceWriter(source_of(module, **sections), work_in(folder, folder)).write()
