from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from onnxproof.errors import CheckError, ExportError, ProofRefused, SimplifyError, SpecError
from onnxproof.ladder import climb, refuse
from onnxproof.records import (
    Attempt,
    BenchmarkResult,
    Candidate,
    CheckResult,
    Ladder,
    Ratio,
    Simplifier,
)
from onnxproof.spec import Spec, Strategy
from tests.unit.builders import spec_of
from tests.unit.making import benchmark_of, candidate_of, verdicts_on


class Stages:
    """Real records without any graph; ``broken`` and ``wrong`` say what happens to a label."""

    def __init__(
        self,
        *,
        broken: dict[str, Exception] | None = None,
        wrong: dict[str, str] | None = None,
        unchecked: dict[str, Exception] | None = None,
        sizes: dict[str, int] | None = None,
        nodes: dict[str, int] | None = None,
        digests: dict[str, str] | None = None,
        ratios: tuple[Ratio, ...] = (),
    ) -> None:
        self.broken, self.wrong, self.unchecked = broken or {}, wrong or {}, unchecked or {}
        self.sizes, self.nodes, self.ratios = sizes or {}, nodes or {}, ratios
        self.digests = digests or {}
        self.calls: list[str] = []
        self.timed: list[str] = []

    def export(self, strategy: Strategy, variant: str = "") -> Candidate:
        return self._make(candidate_of(strategy, variant=variant), "export")

    def simplify(self, candidate: Candidate, simplifier: Simplifier) -> Candidate:
        simplified = candidate.model_copy(update={"simplifier": simplifier, "nodes": 8})
        return self._make(simplified, "simplify")

    def check(self, candidate: Candidate) -> CheckResult:
        self.calls.append(f"check {candidate.label}")
        if candidate.label in self.unchecked:
            raise self.unchecked[candidate.label]
        return verdicts_on(candidate, self.wrong.get(candidate.label, ""))

    def benchmark(self, candidates: tuple[Candidate, ...]) -> BenchmarkResult:
        self.timed = [each.label for each in candidates]
        timed = benchmark_of(**dict.fromkeys(self.timed, 0.5))
        return timed.model_copy(update={"ratios": self.ratios})

    def _make(self, candidate: Candidate, stage: str) -> Candidate:
        label = candidate.label
        self.calls.append(f"{stage} {label}")
        if label in self.broken:
            raise self.broken[label]
        size = self.sizes.get(label, candidate.model.size_bytes)
        digest = self.digests.get(label, hashlib.sha256(label.encode()).hexdigest())
        model = candidate.model.model_copy(update={"size_bytes": size, "sha256": digest})
        nodes = self.nodes.get(label, candidate.nodes)
        return candidate.model_copy(update={"model": model, "nodes": nodes})


def asked(search: str = "first", **sections: Any) -> Spec:
    return spec_of(export={"search": search}, **sections)


def rungs(ladder: Ladder) -> list[tuple[str, str, str]]:
    return [(each.label, each.outcome, each.reason) for each in ladder.attempts]


def rung(ladder: Ladder, label: str) -> Attempt:
    return next(each for each in ladder.attempts if each.label == label)


def chosen(ladder: Ladder) -> str:
    """The label that stands; it is the one whose attempt says so."""
    assert ladder.chosen is not None
    assert [each.candidate for each in ladder.attempts if each.chosen] == [ladder.chosen]
    return ladder.chosen.label


def test_first_stops_at_the_first_strategy_that_is_proven() -> None:
    stages = Stages()
    ladder = climb(asked(), stages)
    assert rungs(ladder) == [
        ("dynamo", "passed", "proven"),
        ("dynamo+onnxsim", "passed", "proven"),
        ("trace", "not_reached", "dynamo+onnxsim was proven first"),
        ("script", "not_reached", "dynamo+onnxsim was proven first"),
    ]
    assert chosen(ladder) == "dynamo+onnxsim"
    assert stages.timed == ["dynamo+onnxsim"]
    assert stages.calls == [
        "export dynamo",
        "check dynamo",
        "simplify dynamo+onnxsim",
        "check dynamo+onnxsim",
    ]


def test_the_verdicts_of_the_ladder_are_those_on_the_chosen_candidate() -> None:
    ladder = climb(asked(), Stages(wrong={"dynamo+onnxsim": "off"}))
    assert ladder.check is not None
    assert ladder.check.candidate == "dynamo"
    assert ladder.check.proven


def test_strategies_are_tried_in_the_order_of_the_spec() -> None:
    stages = Stages()
    ladder = climb(spec_of(export={"strategies": ["script", "dynamo"]}), stages)
    assert stages.calls[0] == "export script"
    assert [each.label for each in ladder.attempts] == ["script", "script+onnxsim", "dynamo"]


def test_a_strategy_that_fails_keeps_its_reason_and_the_next_one_is_tried() -> None:
    ladder = climb(asked(), Stages(broken={"dynamo": ExportError("dynamo: no such operator")}))
    assert rungs(ladder)[:2] == [
        ("dynamo", "failed", "dynamo: no such operator"),
        ("trace", "passed", "proven"),
    ]
    assert chosen(ladder) == "trace+onnxsim"


def test_a_graph_that_is_not_proven_is_not_simplified() -> None:
    stages = Stages(wrong={"dynamo": "output 'y' differs by 3"})
    ladder = climb(asked(), stages)
    assert rungs(ladder)[:2] == [
        ("dynamo", "failed", "parity: output 'y' differs by 3"),
        ("dynamo+onnxsim", "not_reached", "the plain graph is not proven"),
    ]
    assert "simplify dynamo+onnxsim" not in stages.calls
    assert chosen(ladder) == "trace+onnxsim"


@pytest.mark.parametrize(
    ("stages", "outcome", "reason"),
    [
        (
            lambda: Stages(wrong={"dynamo+onnxsim": "output 'y' differs by 3"}),
            "failed",
            "parity: output 'y' differs by 3",
        ),
        (
            lambda: Stages(broken={"dynamo+onnxsim": SimplifyError("crashed with SIGSEGV")}),
            "failed",
            "crashed with SIGSEGV",
        ),
        (
            lambda: Stages(unchecked={"dynamo+onnxsim": CheckError("check used 9 GB")}),
            "failed",
            "check used 9 GB",
        ),
        (
            lambda: Stages(nodes={"dynamo+onnxsim": 11}),
            "not_reached",
            "it has 11 nodes, the plain graph 10",
        ),
        (
            lambda: Stages(sizes={"dynamo+onnxsim": 110_001}),
            "not_reached",
            "the file grew from 100000 to 110001 bytes (gates.max_size_growth = 0.1)",
        ),
    ],
    ids=["wrong", "crashed", "not checked", "more nodes", "larger"],
)
def test_the_plain_graph_stands_where_the_simplified_one_is_no_better(
    stages: Callable[[], Stages], outcome: str, reason: str
) -> None:
    ladder = climb(asked(), stages())
    assert chosen(ladder) == "dynamo"
    assert rungs(ladder)[:2] == [
        ("dynamo", "passed", "proven"),
        ("dynamo+onnxsim", outcome, reason),
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
    stages = Stages(sizes={"dynamo": plain, "dynamo+onnxsim": simplified})
    ladder = climb(asked(gates={"max_size_growth": allowed}), stages)
    assert chosen(ladder) == ("dynamo+onnxsim" if taken else "dynamo")


def test_a_check_that_broke_keeps_the_graph_it_broke_on() -> None:
    ladder = climb(asked(), Stages(unchecked={"dynamo": CheckError("check hung")}))
    attempt = rung(ladder, "dynamo")
    assert (attempt.outcome, attempt.reason, attempt.check) == ("failed", "check hung", None)
    assert attempt.candidate is not None
    assert chosen(ladder) == "trace+onnxsim"


EAGER: dict[str, Any] = {"source": {"variants": {"eager": {"attention": "eager"}}}}


def test_fastest_proves_every_strategy_with_every_simplifier_and_times_what_is_proven() -> None:
    stages = Stages(
        wrong={"script+onnxsim": "off", "trace": "off"},
        broken={"dynamo+onnxslim": SimplifyError("crashed with SIGSEGV")},
    )
    ladder = climb(asked("fastest"), stages)
    assert [(each.label, each.outcome) for each in ladder.attempts] == [
        ("dynamo", "passed"),
        ("dynamo+onnxsim", "passed"),
        ("dynamo+onnxslim", "failed"),
        ("dynamo+rewrite", "passed"),
        ("trace", "failed"),
        ("trace+onnxsim", "not_reached"),
        ("trace+onnxslim", "not_reached"),
        ("trace+rewrite", "not_reached"),
        ("script", "passed"),
        ("script+onnxsim", "failed"),
        ("script+onnxslim", "passed"),
        ("script+rewrite", "passed"),
    ]
    assert stages.timed == [
        *("dynamo", "dynamo+onnxsim", "dynamo+rewrite"),
        *("script", "script+onnxslim", "script+rewrite"),
    ]


def test_fastest_tries_every_variant_of_the_source_too() -> None:
    stages = Stages()
    climb(spec_of(export={"search": "fastest", "strategies": ["trace"]}, **EAGER), stages)
    plain = ["trace", "trace+onnxsim", "trace+onnxslim", "trace+rewrite"]
    assert stages.timed == [*plain, *(f"{label}@eager" for label in plain)]


def test_first_tries_a_variant_only_where_the_declared_source_gave_nothing() -> None:
    spec = spec_of(export={"strategies": ["dynamo", "trace"]}, **EAGER)
    ladder = climb(spec, Stages())
    assert rungs(ladder)[-2:] == [
        ("dynamo@eager", "not_reached", "dynamo+onnxsim was proven first"),
        ("trace@eager", "not_reached", "dynamo+onnxsim was proven first"),
    ]
    stages = Stages(broken={"dynamo": ExportError("no")}, wrong={"trace": "off"})
    assert chosen(climb(spec, stages)) == "dynamo+onnxsim@eager"


def test_the_fastest_stands_and_every_timed_attempt_says_how_it_compares() -> None:
    ratio = Ratio(contender="", over="trace+onnxsim", ratio=1.1, low=1.05, high=1.2, rounds=40)
    ratios = tuple(
        ratio.model_copy(update={"contender": label, "ratio": value})
        for label, value in (("trace", 1.1), ("trace+onnxslim", 1.2), ("trace+rewrite", 1.3))
    )
    spec = spec_of(export={"search": "fastest", "strategies": ["trace"]})
    ladder = climb(spec, Stages(ratios=ratios))
    assert chosen(ladder) == "trace+onnxsim"
    assert rung(ladder, "trace+onnxsim").reason == (
        "proven; the lowest latency of 4; the next, trace, has 1.100 times the latency of "
        "trace+onnxsim (95 % interval 1.050 to 1.200, 40 rounds)"
    )
    assert rung(ladder, "trace+rewrite").reason == (
        "proven; 1.300 times the latency of trace+onnxsim (95 % interval 1.050 to 1.200, 40 rounds)"
    )


def test_a_simplifier_that_changes_nothing_makes_no_candidate() -> None:
    digests = {"trace": "0" * 64, "trace+rewrite": "0" * 64}
    spec = spec_of(export={"search": "fastest", "strategies": ["trace"]})
    stages = Stages(digests=digests)
    assert rung(climb(spec, stages), "trace+rewrite").reason == "rewrite found nothing to change"
    assert "trace+rewrite" not in stages.timed


def test_more_nodes_are_for_the_benchmark_to_judge_where_it_chooses() -> None:
    stages = Stages(nodes={"trace+onnxsim": 11})
    climb(spec_of(export={"search": "fastest", "strategies": ["trace"]}), stages)
    assert "trace+onnxsim" in stages.timed


def test_a_spec_that_cannot_be_exported_is_bad_input_and_not_a_rung() -> None:
    with pytest.raises(SpecError, match="too new"):
        climb(asked(), Stages(broken={"dynamo": SpecError("opset too new")}))


def every(what: str) -> dict[str, str]:
    return {strategy: f"{strategy} {what}" for strategy in ("dynamo", "trace", "script")}


def test_nothing_proven_is_a_refusal_with_every_reason() -> None:
    stages = Stages(
        broken={"dynamo": ExportError("dynamo raised")},
        wrong={"trace": "trace is off", "script": "script is off"},
    )
    ladder = climb(asked(), stages)
    assert (ladder.chosen, ladder.check, ladder.benchmark, stages.timed) == (None, None, None, [])
    with pytest.raises(ProofRefused) as caught:
        refuse(ladder)
    assert str(caught.value) == (
        "no candidate was proven, so nothing is registered. dynamo: dynamo raised; "
        "trace: parity: trace is off; script: parity: script is off"
    )


def test_no_graph_at_all_is_an_export_error() -> None:
    failures = {label: ExportError(text) for label, text in every("raised").items()}
    with pytest.raises(ExportError) as caught:
        refuse(climb(asked(), Stages(broken=dict(failures))))
    assert str(caught.value) == (
        "no strategy gave an ONNX graph. dynamo: dynamo raised; trace: trace raised; "
        "script: script raised"
    )


def test_graphs_that_could_not_be_checked_are_a_check_error() -> None:
    failures = {label: CheckError(text) for label, text in every("hung").items()}
    with pytest.raises(CheckError) as caught:
        refuse(climb(asked(), Stages(unchecked=dict(failures))))
    assert str(caught.value).startswith(
        "no candidate could be checked, so nothing is registered. dynamo: dynamo hung; "
    )
