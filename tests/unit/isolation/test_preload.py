from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxproof.isolation.child import PRELOAD, PRELOAD_VARIABLE
from onnxproof.pipeline.plan import prepare_for
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


def test_the_fork_server_is_told_only_of_packages_that_are_known_to_be_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.py").write_text(
        "import numpy, wave\ndef build():\n    from transformers import BertConfig, BertModel\n"
    )
    monkeypatch.setattr("onnxproof.pipeline.plan.prepare_children", lambda: None)
    spec = parse_spec(
        {"name": "n", "source": {"factory": "net:build"}, "inputs": {"x": "float32[4]"}}
    )
    prepare_for(spec, (str(tmp_path),), (), local_code=True)
    named = os.environ[PRELOAD_VARIABLE].split(",")
    assert named == ["transformers", "transformers.BertConfig", "transformers.BertModel"]
    assert "onnxproof.isolation.preload" in PRELOAD
