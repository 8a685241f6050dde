from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxproof.check.float16 import open_overflowing
from onnxproof.check.stage import check_in_child
from onnxproof.records import CheckResult, Run, Work
from tests.helpers.graphs import AFFINE, affine_reference, save, save_reference
from tests.helpers.specs import spec_of, work_in

INPUTS: dict[str, Any] = {"inputs": {"x": "float16[batch, 4]"}, "dims": {"batch": {"max": 8}}}
SQUARED = """
    <ir_version: 8, opset_import: ["" : 18]>
    norm (float16[batch, 4] x) => (float16[batch, 4] y)
    { square = Mul (x, x)  root = Sqrt (square)  y = Identity (root) }
"""
"""On a GPU it is infinite from 256 on, where forward has the size of ``x``."""
IN_FLOAT32 = """
    <ir_version: 8, opset_import: ["" : 18]>
    norm (float16[batch, 4] x) => (float16[batch, 4] y)
    {
        wide = Cast <to = 1> (x)  square = Mul (wide, wide)  root = Sqrt (square)
        y = Cast <to = 10> (root)
    }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def checked(text: str, work: Work, largest: float) -> CheckResult:
    x = np.linspace(0.5, largest, 4, dtype=np.float16).reshape(1, 4)
    loaded = save_reference(work, ({"x": x}, {"y": x}))
    request = (Run(spec_of(**INPUTS), work, loaded), save(text, work))
    return check_in_child(*request)


def test_what_overflows_on_a_gpu_alone_is_refused(work: Work) -> None:
    found = checked(SQUARED, work, largest=300)
    *others, last = found.verdicts
    assert [other.outcome for other in others] == ["passed"] * len(others)
    assert (last.name, last.outcome) == ("parity_float16", "failed")
    assert last.reason.startswith("computed node by node in float16, as a GPU may, and not in ")
    assert "output 'y' differs by inf" in last.reason
    assert not found.proven


@pytest.mark.parametrize(("text", "largest"), [(SQUARED, 200), (IN_FLOAT32, 300)])
def test_a_float16_graph_that_stays_within_float16_is_proven(
    work: Work, text: str, largest: float
) -> None:
    found = checked(text, work, largest)
    assert found.proven, found.reason
    assert found.verdicts[-1].name == "parity_float16"


def test_a_graph_without_float16_is_not_asked(work: Work) -> None:
    loaded = affine_reference(work)
    candidate = save(AFFINE, work)
    with open_overflowing(work, candidate, ()) as session:
        assert session is None
    found = check_in_child(Run(spec_of(), work, loaded), candidate)
    assert found.verdicts[-1].name == "parity_unoptimized"


def test_the_file_stays_as_it_is_and_no_other_is_left(work: Work) -> None:
    candidate = save(SQUARED, work)
    folder = Path(work.path(candidate.model.path)).parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with open_overflowing(work, candidate, ()) as session:
        assert session is not None
        x = np.array([[1, 2, 300, -300]], np.float16)
        assert session.run({"x": x})["y"].tolist() == [[1, 2, np.inf, np.inf]]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
