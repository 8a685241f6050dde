from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from onnxproof.spec import parse_spec
from onnxproof.spec.source import KINDS

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
