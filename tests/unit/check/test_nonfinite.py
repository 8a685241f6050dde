"""Masked scores: minus infinity is meant, and must stand where PyTorch has it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

from onnxproof.errors import ReferenceRefused
from onnxproof.proof import replay
from tests.conftest import TOY, prove_toy

MASKED = {**TOY, "source": {"factory": "tests.helpers.models:masked_scores"}}
ALLOWED = {**MASKED, "outputs": {"scores": {"nonfinite": "allow"}}}


def test_infinity_is_refused_where_the_spec_does_not_allow_it(tmp_path: Path) -> None:
    with pytest.raises(ReferenceRefused, match=r"gives -inf in output 'output'.*nonfinite: allow"):
        prove_toy(MASKED, tmp_path)


def test_allowed_infinity_is_proven_and_replayed_and_its_place_is_held(tmp_path: Path) -> None:
    proof, folder = prove_toy(ALLOWED, tmp_path)
    (row,) = proof.check.parity
    assert (row.allow_nonfinite, row.mismatched) == (True, 0)
    assert replay.holds(replay.replay(folder), replay.same_bytes(folder))
    path = folder / "test_data_set_0" / "output_0.pb"
    saved = onnx.load_tensor(path)
    scores = numpy_helper.to_array(saved).copy()
    scores[0, 0] = -float("inf") if scores[0, 0] > -float("inf") else 0.0
    path.write_bytes(numpy_helper.from_array(scores, saved.name).SerializeToString())
    (damaged,) = replay.replay(folder)
    assert damaged.mismatched == 1
