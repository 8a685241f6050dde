from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxproof.isolation.child import PRELOAD, PRELOAD_VARIABLE
from onnxproof.pipeline.plan import make_plan, start_children
from onnxproof.settings import read_settings
from onnxproof.spec import parse_spec

CODE = """
import sys
import onnxproof.isolation.preload
print(*{"colorsys", "wave"} & set(sys.modules), flush=True)
"""


@pytest.mark.parametrize(
    ("names", "imported"),
    [
        ("", ""),
        ("colorsys", "colorsys"),
        ("colorsys.rgb_to_hsv", "colorsys"),
        ("no_such_package.Thing,colorsys.no_such_name,wave", "colorsys wave"),
    ],
)
def test_what_is_named_is_imported_and_what_is_not_there_is_left_to_the_child(
    names: str, imported: str
) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, PRELOAD_VARIABLE: names},
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(answer.stdout.split()) == imported.split()


def test_the_fork_server_ends_without_taking_torch_apart() -> None:
    code = "import atexit; atexit.register(print, 'slow', flush=True)\n"
    code += "import onnxproof.isolation.preload"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not answer.stdout


def test_the_fork_server_is_reported_only_of_packages_that_are_known_to_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(
        "import numpy, wave\ndef build():\n    from transformers import BertConfig, BertModel\n"
    )
    asked: list[list[str]] = []
    monkeypatch.setattr(
        "onnxproof.pipeline.plan.prepare_children", lambda *, names: asked.append(names)
    )
    monkeypatch.chdir(tmp_path)
    spec = parse_spec(
        {"name": "n", "source": {"factory": "net:build"}, "inputs": {"x": "float32[4]"}}
    )
    start_children(make_plan(spec, (), read_settings(), local_code=True))
    assert asked == [["transformers", "transformers.BertConfig", "transformers.BertModel"]]
    assert "onnxproof.isolation.preload" in PRELOAD
