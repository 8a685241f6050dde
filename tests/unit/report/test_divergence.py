from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxproof.artifact import Artifact
from onnxproof.records import Attempt, Divergence, SearchResult
from onnxproof.report.divergence import divergence_lines
from onnxproof.report.proof import render_refusal
from tests.helpers.graphs import DIGEST, affine_reference
from tests.helpers.specs import work_in

FOUND = Divergence(
    against="PyTorch",
    tensor="linear_2",
    node="node_linear_2",
    operator="Add",
    among=("node_MatMul_5 (MatMul)",),
    module="layers.2.fc",
    line="model.py:27",
    max_abs_diff=1.795,
    budget=2.8e-5,
    worst_set="test_data_set_4",
    worst_index=(2, 0),
    reproducer=Artifact(path="divergence/trace/model.onnx", sha256=DIGEST, size_bytes=300),
    reproduces=True,
)


FIRST = "first wrong at node node_linear_2 (Add)"
PLACE = "in layers.2.fc, model.py:27"
SAVED = (
    "`divergence/trace/model.onnx` in the work folder holds these nodes, what they take and what"
)
OFF = "`linear_2` differs from PyTorch by 1.79 (budget 2.8e-05) at [2, 0] in test_data_set_4."


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            (
                f"{FIRST} or node_MatMul_5 (MatMul) {PLACE}. {OFF} Not compared before it: "
                f"node_MatMul_5 (MatMul). {SAVED} they should give; alone they differ too."
            ),
        ),
        (
            {"among": (), "module": "", "reproducer": None, "reason": "too large to save"},
            f"{FIRST}, model.py:27. {OFF} Too large to save.",
        ),
        (
            {"among": ("a (Div)", "b (Erf)"), "max_abs_diff": None, "reproduces": False},
            (
                f"{FIRST} or one of 2 before it {PLACE}. Not compared before it: a (Div), b (Erf). "
                f"{SAVED} they should give; alone they are right."
            ),
        ),
        (
            {"tensor": "", "reason": "could not be localized: 120 s were not enough"},
            "could not be localized: 120 s were not enough.",
        ),
    ],
    ids=["found", "nothing saved", "not alone", "not found"],
)
def test_a_report_says_what_is_known_of_the_place_and_no_more(
    changes: dict[str, Any], text: str
) -> None:
    found = FOUND.model_copy(update=changes)
    attempt = Attempt(label="trace", outcome="failed", reason="off", divergence=found)
    right = Attempt(label="dynamo", outcome="passed", reason="proven")
    assert divergence_lines([right, attempt]) == [f"- trace: {text}"]


def test_a_refusal_has_a_section_on_where_it_goes_wrong(tmp_path: Path) -> None:
    attempt = Attempt(label="trace", outcome="failed", reason="off", divergence=FOUND)
    loaded = affine_reference(work_in(tmp_path))
    page = render_refusal("toy", loaded, SearchResult(attempts=(attempt,)))
    assert "\n\n## Where it goes wrong\n\n- trace: first wrong at node node_linear_2 (Add)" in page
    without = attempt.model_copy(update={"divergence": None})
    page = render_refusal("toy", loaded, SearchResult(attempts=(without,)))
    assert "Where it goes wrong" not in page
