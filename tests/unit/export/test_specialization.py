from __future__ import annotations

from pathlib import Path

import pytest

from onnxproof.check.stage import VERDICTS, check_in_child
from onnxproof.export.hints import against_refusal
from onnxproof.records import Attempt, Candidate, CheckResult, Run, Specialization, Verdict
from onnxproof.spec import StrategyName
from tests.helpers.failing_models import line_of
from tests.helpers.graphs import candidate_of, export, load
from tests.helpers.specs import spec_of, work_in

pytestmark = pytest.mark.filterwarnings("ignore")


def checked(folder: Path, name: str, strategy: StrategyName) -> tuple[Candidate, CheckResult]:
    work = work_in(folder)
    spec = spec_of(source={"factory": f"tests.helpers.failing_models:{name}"}, check={"samples": 2})
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    return candidate, check_in_child(Run(spec, work, loaded), candidate)


@pytest.mark.parametrize(
    ("name", "strategy", "verdict", "hint"),
    [
        ("Fixes", "dynamo", "contract: input 'x' axis 0 is fixed at 3", "x.shape"),
        ("Fixes", "trace", "parity", "script"),
        ("Narrows", "dynamo", "parity", "x.shape"),
        ("Narrows", "trace", "parity", "script"),
        ("Branch", "trace", "parity", "script"),
    ],
)
def test_a_graph_of_its_example_alone_is_refused_with_the_line_that_made_it_so(
    tmp_path: Path, name: str, strategy: StrategyName, verdict: str, hint: str
) -> None:
    candidate, result = checked(tmp_path, name, strategy)
    assert result.reason.startswith(verdict)
    where, what = against_refusal(candidate, result)
    assert where == line_of(name)
    assert hint in what


def test_a_size_that_is_narrowed_is_reported_in_the_spec_s_words(tmp_path: Path) -> None:
    candidate, _ = checked(tmp_path, "Narrows", "dynamo")
    assert candidate.specializations == (
        Specialization(input="x", what="only where x.shape[0] > 2", where=line_of("Narrows")),
    )


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_a_graph_that_is_right_for_every_size_has_nothing_specialized(
    tmp_path: Path, strategy: StrategyName
) -> None:
    candidate, result = checked(tmp_path, "Right", strategy)
    assert result.proven
    assert candidate.specializations == ()
    assert against_refusal(candidate, result) == ("", "")


def refused(name: str, reason: str) -> CheckResult:
    verdict = Verdict(name=name, outcome="failed", reason=reason)
    return CheckResult(candidate="trace", sha256="5" * 64, verdicts=(verdict,), seconds=0)


@pytest.mark.parametrize("name", [*VERDICTS[1:], "metric"])
def test_each_verdict_that_fails_has_a_hint(name: str) -> None:
    where, hint = against_refusal(candidate_of("trace"), refused(name, "no"))
    assert where == ""
    assert hint


def test_the_line_of_the_input_that_was_refused_comes_first() -> None:
    specializations = tuple(
        Specialization(input=name, what=what, where=f"m.py:{line}")
        for line, (name, what) in enumerate([("y", "Eq(y, 3)"), ("x", "x > 2"), ("x", "Eq(x, 3)")])
    )
    candidate = candidate_of("dynamo").model_copy(update={"specializations": specializations})
    reason = "input 'x' axis 0 is fixed at 3, declared dynamic (batch)"
    assert against_refusal(candidate, refused("contract", reason))[0] == "m.py:2"
    reason = "output 'z' axis 0 is fixed at 3, declared dynamic (batch)"
    assert against_refusal(candidate, refused("contract", reason))[0] == "m.py:0"


def test_an_attempt_has_room_for_both() -> None:
    attempt = Attempt(label="trace", outcome="failed", reason="no", where="m.py:2", hint="help")
    assert attempt.model_dump()["where"] == "m.py:2"
