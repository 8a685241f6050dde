from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxproof.check import CheckRequest, check_in_child
from onnxproof.records import Candidate, Work
from onnxproof.runtime import Optimisation, Session, open_session
from tests.unit.builders import spec_of, work_in
from tests.unit.making import AFFINE, affine_reference, save


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def both_parities(candidate: Candidate, work: Work) -> tuple[str, str]:
    request = CheckRequest(spec_of(), work, affine_reference(work), candidate)
    *_, parity, unoptimized = check_in_child(request).verdicts
    assert (parity.name, unoptimized.name) == ("parity", "parity_unoptimized")
    return parity.outcome, unoptimized.outcome


def test_a_graph_that_only_an_optimization_breaks_is_refused_and_both_verdicts_are_kept(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = save(AFFINE, work, "dynamo")
    wrong = save(AFFINE.replace("{1, 2,", "{1, 9,"), work, "trace")
    opened = []

    def open_wrongly(path: Path, *, optimisation: Optimisation, **others: Any) -> Session:
        opened.append(optimisation)
        path = Path(work.path(wrong.model.path)) if optimisation == "all" else path
        return open_session(path, optimisation=optimisation, **others)

    monkeypatch.setattr("onnxproof.runtime.open_session", open_wrongly)
    assert both_parities(right, work) == ("failed", "passed")
    assert opened == ["all", "disabled"]


def test_a_graph_that_is_wrong_until_it_is_optimized_is_refused_too(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = save(AFFINE, work, "dynamo")
    wrong = save(AFFINE.replace("{1, 2,", "{1, 9,"), work, "trace")

    def open_rightly(path: Path, *, optimisation: Optimisation, **others: Any) -> Session:
        path = Path(work.path(right.model.path)) if optimisation == "all" else path
        return open_session(path, optimisation=optimisation, **others)

    monkeypatch.setattr("onnxproof.runtime.open_session", open_rightly)
    assert both_parities(wrong, work) == ("passed", "failed")
