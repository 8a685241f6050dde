"""docs/sources.md: its examples are valid, and each kind's is run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from examples import digits_cnn
from onnxproof.spec import parse_spec
from onnxproof.spec.source import KINDS
from tests.helpers.graphs import load, save_bert
from tests.helpers.specs import ROWS, work_in

# torch.jit is deprecated, and transformers warns of what is meant here.
pytestmark = pytest.mark.filterwarnings("ignore")
PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [
    yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_example_of_the_page_is_valid(block: dict[str, Any]) -> None:
    spec = {"name": "toy", "source": {"factory": "a:b"}, "inputs": {"x": "float32[4]"}, **block}
    if "inputs" in block:
        spec["dims"] = {"batch": {"max": 8}}
    parse_spec(spec)


def test_the_page_has_an_example_of_every_kind() -> None:
    shown = {kind for block in BLOCKS for kind in block.get("source", {})}
    assert set(KINDS) <= shown


def example_of(kind: str) -> dict[str, Any]:
    """The first ``source`` of that kind on the page."""
    sources = [block["source"] for block in BLOCKS if "source" in block]
    return next(source for source in sources if kind in source)


IMAGES = {"inputs": {"x": "float32[batch, 3, 64, 64]"}, "dims": {"batch": {"max": 2}}}
DIGITS = {"inputs": {"image": "float32[batch, 1, 8, 8]"}, "dims": {"batch": {"max": 8}}}
TOKENS = {
    "inputs": {
        "input_ids": "int64[batch, seq] in 0..49",
        "attention_mask": "int64[batch, seq] mask",
    },
    "dims": {"batch": {"max": 2}, "seq": {"max": 8}},
}


def make_digits(source: dict[str, Any], root: Path) -> dict[str, Any]:
    save_file(digits_cnn.build(**source["kwargs"]).state_dict(), root / source["weights"]["path"])
    return DIGITS


def make_script(source: dict[str, Any], root: Path) -> dict[str, Any]:
    torch.jit.trace(nn.Linear(4, 3), torch.ones(2, 4)).save(root / source["torchscript"])
    return {**ROWS, "inputs": {"input": "float32[batch, 4]"}}


def make_program(source: dict[str, Any], root: Path) -> dict[str, Any]:
    sizes = ({0: torch.export.Dim("batch", max=8)},)
    program = torch.export.export(nn.Linear(4, 3), (torch.ones(2, 4),), dynamic_shapes=sizes)
    torch.export.save(program, root / source["exported_program"])
    return {**ROWS, "inputs": {"input": "float32[batch, 4]"}}


def make_transformers(source: dict[str, Any], root: Path) -> dict[str, Any]:
    save_bert(root / source["transformers"])
    return TOKENS


def make_timm(source: dict[str, Any], root: Path) -> dict[str, Any]:
    timm = pytest.importorskip("timm", exc_type=ImportError)
    model = timm.create_model(source["timm"], **source["kwargs"])
    save_file(model.state_dict(), root / source["weights"]["path"])
    return IMAGES


def make_torchvision(source: dict[str, Any], root: Path) -> dict[str, Any]:
    models = pytest.importorskip("torchvision.models", exc_type=ImportError)
    model = models.get_model(source["torchvision"], **source["kwargs"])
    torch.save(model.state_dict(), root / source["weights"]["path"])
    return IMAGES


MADE: dict[str, Callable[[dict[str, Any], Path], dict[str, Any]]] = {
    "factory": make_digits,
    "torchscript": make_script,
    "exported_program": make_program,
    "transformers": make_transformers,
    "timm": make_timm,
    "torchvision": make_torchvision,
}
"""What makes the files that the page's example names; of mlflow see test_mlflow.py."""


@pytest.mark.parametrize("kind", MADE)
def test_the_example_of_each_kind_gives_a_reference(kind: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    source = example_of(kind)
    sections = MADE[kind](source, tmp_path)
    spec = parse_spec({"name": "toy", "source": source, "check": {"samples": 1}, **sections})
    points = load(spec, work_in(tmp_path / "work", tmp_path)).reference.points
    assert {point.outcome for point in points} == {"passed"}
