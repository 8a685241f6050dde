from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxproof.check.parity import check_parity
from onnxproof.check.stage import check_in_child
from onnxproof.records import Candidate, Run, Work
from onnxproof.runtime import Optimization, Session, open_session
from tests.helpers.graphs import AFFINE, affine_reference, save, save_reference
from tests.helpers.specs import spec_of, work_in


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def both_parities(candidate: Candidate, work: Work) -> tuple[str, str]:
    request = (Run(spec_of(), work, affine_reference(work)), candidate)
    *_, parity, edges, unoptimized = check_in_child(*request).verdicts
    assert [edges.name, unoptimized.name] == ["edges", "parity_unoptimized"]
    assert parity.name == "parity"
    return parity.outcome, unoptimized.outcome


def test_a_graph_that_only_an_optimization_breaks_is_refused_and_both_verdicts_are_kept(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = save(AFFINE, work, "dynamo")
    wrong = save(AFFINE.replace("{1, 2,", "{1, 9,"), work, "trace")
    opened = []

    def open_wrongly(path: Path, *, optimization: Optimization, **others: Any) -> Session:
        opened.append(optimization)
        path = Path(work.path(wrong.model.path)) if optimization == "all" else path
        return open_session(path, optimization=optimization, **others)

    monkeypatch.setattr("onnxproof.runtime.open_session", open_wrongly)
    assert both_parities(right, work) == ("failed", "passed")
    assert opened == ["all", "disabled"]


def test_a_graph_that_is_wrong_until_it_is_optimized_is_refused_too(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = save(AFFINE, work, "dynamo")
    wrong = save(AFFINE.replace("{1, 2,", "{1, 9,"), work, "trace")

    def open_rightly(path: Path, *, optimization: Optimization, **others: Any) -> Session:
        path = Path(work.path(right.model.path)) if optimization == "all" else path
        return open_session(path, optimization=optimization, **others)

    monkeypatch.setattr("onnxproof.runtime.open_session", open_rightly)
    assert both_parities(wrong, work) == ("passed", "failed")


def test_without_rewrites_one_sample_a_shape_is_held_to_the_tolerance_of_all(work: Work) -> None:
    path = Path(work.path(save(AFFINE, work).model.path))
    small, large = (np.full((1, 4), value, np.float32) for value in (1, 1000))
    bias = np.array([1, 2, 3, 4], np.float32)
    sets = [({"x": array}, {"y": array + bias}) for array in (small, large)]
    reference = save_reference(work, *sets).reference
    (first, second), names = reference.points, ("test_data_set_0", "test_data_set_1")
    assert (first.sets, second.sets) == (names[:1], names[1:])
    reference = reference.model_copy(update={"points": (first.model_copy(update={"sets": names}),)})
    rows = [
        check_parity(spec_of(), work, open_session(path), reference, optimized=optimized)[1][0]
        for optimized in (True, False)
    ]
    assert [row.samples for row in rows] == [2, 1]
    assert rows[0].atol == rows[1].atol


def test_shapes_that_would_take_too_long_without_rewrites_are_left_out_and_counted(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxproof.check.parity.UNOPTIMIZED_SECONDS", 0.0)
    path = Path(work.path(save(AFFINE, work).model.path))
    reference = affine_reference(work).reference
    shapes = len(reference.points)
    assert shapes > 1
    session = open_session(path, optimization="disabled")
    verdict, _ = check_parity(spec_of(), work, session, reference, optimized=False)
    assert verdict.reason.startswith("1 shapes, 1 samples within tolerance, ")
    assert verdict.reason.endswith(f"; {shapes - 1} shapes were beyond the budget")
