from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from onnxproof.artifact import Artifact
from onnxproof.errors import CheckError, ExportError, ProofRefused, SimplifyError, SpecError
from onnxproof.pipeline.refusal_message import refuse
from onnxproof.records import Divergence
from tests.helpers.fake_stages import FakeStages, asked, attempt_of, attempts_of, chosen, searched
from tests.helpers.graphs import DIGEST
from tests.helpers.specs import spec_of

UNCOMPARED = "nothing was compared, and it has the fewest nodes"


def test_first_stops_at_the_first_strategy_that_is_proven() -> None:
    stages = FakeStages()
    search = searched(asked(), stages)
    assert attempts_of(search) == [
        ("dynamo", "passed", "proven"),
        ("dynamo+onnxsim", "passed", f"proven; {UNCOMPARED}"),
        ("dynamo+onnxslim", "not_reached", "dynamo+onnxsim was chosen"),
        ("trace", "not_reached", "dynamo+onnxsim was proven first"),
        ("script", "not_reached", "dynamo+onnxsim was proven first"),
    ]
    assert chosen(search) == "dynamo+onnxsim"
    assert stages.rounds == [["dynamo", "dynamo+onnxsim"]]
    assert stages.calls == [
        "export dynamo",
        "check dynamo",
        "simplify dynamo+onnxsim",
        "check dynamo+onnxsim",
    ]


def test_the_verdicts_of_the_search_are_those_on_the_chosen_candidate() -> None:
    wrong = {"dynamo+onnxsim": "off", "dynamo+onnxslim": "off"}
    search = searched(asked(), FakeStages(wrong=wrong))
    assert search.check is not None
    assert search.check.candidate == "dynamo"
    assert search.check.proven


def test_strategies_are_tried_in_the_order_of_the_spec() -> None:
    stages = FakeStages()
    search = searched(spec_of(export={"strategies": ["script", "dynamo"]}), stages)
    assert stages.calls[0] == "export script"
    assert [attempt.label for attempt in search.attempts] == [
        "script",
        "script+onnxsim",
        "script+onnxslim",
        "dynamo",
    ]


def test_a_strategy_that_fails_keeps_its_reason_and_the_next_one_is_tried() -> None:
    search = searched(
        asked(), FakeStages(broken={"dynamo": ExportError("dynamo: no such operator")})
    )
    assert attempts_of(search)[:2] == [
        ("dynamo", "failed", "dynamo: no such operator"),
        ("trace", "passed", "proven"),
    ]
    assert chosen(search) == "trace+onnxsim"


def test_a_graph_that_is_not_proven_is_not_simplified() -> None:
    stages = FakeStages(wrong={"dynamo": "output 'y' differs by 3"})
    search = searched(asked(), stages)
    assert attempts_of(search)[:2] == [
        ("dynamo", "failed", "parity: output 'y' differs by 3"),
        ("dynamo+onnxsim", "not_reached", "the plain graph is not proven"),
    ]
    assert "simplify dynamo+onnxsim" not in stages.calls
    assert chosen(search) == "trace+onnxsim"


def test_a_graph_that_fails_parity_is_localized_and_no_other() -> None:
    stages = FakeStages(
        wrong={"dynamo": "off", "trace+onnxsim": "off"}, broken={"script": ExportError("no")}
    )
    search = searched(asked("first"), stages)
    assert stages.localized == [("dynamo", "PyTorch"), ("trace+onnxsim", "trace")]
    found = {attempt.label: attempt.divergence is not None for attempt in search.attempts}
    assert found == {
        "dynamo": True,
        "dynamo+onnxsim": False,
        "dynamo+onnxslim": False,
        "trace": False,
        "trace+onnxsim": True,
        "trace+onnxslim": False,
        "script": False,
    }


def test_a_refusal_says_where_the_graph_goes_wrong() -> None:
    stages = FakeStages(wrong=dict.fromkeys(("dynamo", "trace", "script"), "off"))
    stages.divergence = Divergence(
        against="",
        tensor="conv2d",
        node="node_conv2d",
        operator="Conv",
        module="layer1.0.conv1",
        line="model.py:12",
        reproducer=Artifact(path="divergence/model.onnx", sha256=DIGEST, size_bytes=9),
    )
    search = searched(asked(), stages)
    assert attempt_of(search, "dynamo").where == "model.py:12"
    message = "dynamo: parity: off; first wrong at node node_conv2d (Conv) in layer1.0.conv1, "
    message += "model.py:12 (alone in divergence/model.onnx); trace: parity: off;"
    with pytest.raises(ProofRefused, match=re.escape(message)):
        refuse(search)


def test_a_verdict_is_the_same_where_nothing_could_be_localized() -> None:
    stages = FakeStages(wrong=dict.fromkeys(("dynamo", "trace", "script"), "off"))
    with pytest.raises(ProofRefused, match="dynamo: parity: off; could not be localized: it was"):
        refuse(searched(asked(), stages))


@pytest.mark.parametrize(
    ("stages", "outcome", "reason"),
    [
        (
            lambda: FakeStages(wrong={"dynamo+onnxsim": "output 'y' differs by 3"}),
            "failed",
            "parity: output 'y' differs by 3",
        ),
        (
            lambda: FakeStages(broken={"dynamo+onnxsim": SimplifyError("crashed with SIGSEGV")}),
            "failed",
            "crashed with SIGSEGV",
        ),
        (
            lambda: FakeStages(unchecked={"dynamo+onnxsim": CheckError("check used 9 GB")}),
            "failed",
            "check used 9 GB",
        ),
        (
            lambda: FakeStages(sizes={"dynamo+onnxsim": 110_001}),
            "not_reached",
            "the file grew from 100000 to 110001 bytes (gates.max_size_growth = 0.1)",
        ),
    ],
    ids=["wrong", "crashed", "not checked", "larger"],
)
def test_the_next_simplifier_is_tried_where_the_first_gave_nothing_better(
    stages: Callable[[], FakeStages], outcome: str, reason: str
) -> None:
    search = searched(asked(), stages())
    assert chosen(search) == "dynamo+onnxslim"
    assert attempts_of(search)[:3] == [
        ("dynamo", "passed", "proven"),
        ("dynamo+onnxsim", outcome, reason),
        ("dynamo+onnxslim", "passed", f"proven; {UNCOMPARED}"),
    ]


@pytest.mark.parametrize(
    ("plain", "simplified", "allowed", "taken"),
    [
        (100_000, 110_000, 0.1, True),
        (100_000, 100_000, 0.0, True),
        (100_000, 100_001, 0.0, False),
        (100, 110, 0.1, True),
        (100, 111, 0.1, False),
        (0, 1, 0.1, False),
        (0, 0, 0.0, True),
    ],
)
def test_a_file_may_grow_as_far_as_its_gate(
    plain: int, simplified: int, allowed: float, *, taken: bool
) -> None:
    stages = FakeStages(sizes={"dynamo": plain, "dynamo+onnxsim": simplified})
    search = searched(asked(gates={"max_size_growth": allowed}), stages)
    assert chosen(search) == ("dynamo+onnxsim" if taken else "dynamo+onnxslim")


def test_a_check_that_broke_keeps_the_graph_it_broke_on() -> None:
    search = searched(asked(), FakeStages(unchecked={"dynamo": CheckError("check hung")}))
    attempt = attempt_of(search, "dynamo")
    assert (attempt.outcome, attempt.reason, attempt.check) == ("failed", "check hung", None)
    assert attempt.candidate is not None
    assert chosen(search) == "trace+onnxsim"


def test_a_spec_that_cannot_be_exported_is_bad_input_and_not_an_attempt() -> None:
    with pytest.raises(SpecError, match="too new"):
        searched(asked(), FakeStages(broken={"dynamo": SpecError("opset too new")}))


def every(what: str) -> dict[str, str]:
    return {strategy: f"{strategy} {what}" for strategy in ("dynamo", "trace", "script")}


def test_nothing_proven_is_a_refusal_with_every_reason() -> None:
    stages = FakeStages(
        broken={"dynamo": ExportError("dynamo raised")},
        wrong={"trace": "trace is off", "script": "script is off"},
    )
    search = searched(asked(), stages)
    assert (search.chosen, search.check, search.benchmark, stages.timed) == (None, None, None, [])
    with pytest.raises(ProofRefused) as caught:
        refuse(search)
    assert str(caught.value) == (
        "no candidate was proven, so nothing is registered. dynamo: dynamo raised; "
        "trace: parity: trace is off; could not be localized: it was not tried; "
        "script: parity: script is off; could not be localized: it was not tried. For "
        "trace and script: another strategy may be right; widen check.tolerance only where a "
        "difference of this size does no harm"
    )


def test_no_graph_at_all_is_an_export_error() -> None:
    failures = {label: ExportError(text) for label, text in every("raised").items()}
    with pytest.raises(ExportError) as caught:
        refuse(searched(asked(), FakeStages(broken=dict(failures))))
    assert str(caught.value) == (
        "no strategy gave an ONNX graph. dynamo: dynamo raised; trace: trace raised; "
        "script: script raised"
    )


def test_graphs_that_could_not_be_checked_are_a_check_error() -> None:
    failures = {label: CheckError(text) for label, text in every("hung").items()}
    with pytest.raises(CheckError) as caught:
        refuse(searched(asked(), FakeStages(unchecked=dict(failures))))
    assert str(caught.value).startswith(
        "no candidate could be checked, so nothing is registered. dynamo: dynamo hung; "
    )
