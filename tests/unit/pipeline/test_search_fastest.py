from __future__ import annotations

from typing import Any

from onnxproof.errors import ExportError, SimplifyError
from onnxproof.records import Ratio
from tests.helpers.fake_stages import FakeStages, asked, attempt_of, attempts_of, chosen, searched
from tests.helpers.specs import spec_of

EAGER: dict[str, Any] = {"source": {"variants": {"eager": {"attention": "eager"}}}}


def test_fastest_proves_every_strategy_with_every_simplifier_and_times_what_is_proven() -> None:
    stages = FakeStages(
        wrong={"script+onnxsim": "off", "trace": "off"},
        broken={"dynamo+onnxslim": SimplifyError("crashed with SIGSEGV")},
    )
    search = searched(asked("fastest"), stages)
    assert [(attempt.label, attempt.outcome) for attempt in search.attempts] == [
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
    stages = FakeStages()
    searched(spec_of(export={"search": "fastest", "strategies": ["trace"]}, **EAGER), stages)
    plain = ["trace", "trace+onnxsim", "trace+onnxslim", "trace+rewrite"]
    assert stages.timed == [*plain, *(f"{label}@eager" for label in plain)]


def test_first_tries_a_variant_only_where_the_declared_source_gave_nothing() -> None:
    spec = spec_of(export={"strategies": ["dynamo", "trace"]}, **EAGER)
    search = searched(spec, FakeStages())
    assert attempts_of(search)[-2:] == [
        ("dynamo@eager", "not_reached", "dynamo+onnxsim was proven first"),
        ("trace@eager", "not_reached", "dynamo+onnxsim was proven first"),
    ]
    stages = FakeStages(broken={"dynamo": ExportError("no")}, wrong={"trace": "off"})
    assert chosen(searched(spec, stages)) == "dynamo+onnxsim@eager"


def test_the_fastest_is_chosen_and_every_timed_attempt_says_how_it_compares() -> None:
    ratio = Ratio(
        runner="", over="trace+onnxsim", ratio=1.1, low=1.05, high=1.2, rounds=40, repetitions=10
    )
    ratios = tuple(
        ratio.model_copy(update={"runner": label, "ratio": value})
        for label, value in (("trace", 1.1), ("trace+onnxslim", 1.2), ("trace+rewrite", 1.3))
    )
    spec = spec_of(export={"search": "fastest", "strategies": ["trace"]})
    search = searched(spec, FakeStages(ratios=ratios))
    assert chosen(search) == "trace+onnxsim"
    assert attempt_of(search, "trace+onnxsim").reason == (
        "proven; the lowest latency of 4; the next, trace, has 1.100 times the latency of "
        "trace+onnxsim (99 % interval 1.050 to 1.200, 10 repetitions)"
    )
    assert attempt_of(search, "trace+rewrite").reason == (
        "proven; 1.300 times the latency of trace+onnxsim "
        "(99 % interval 1.050 to 1.200, 10 repetitions)"
    )


def test_a_simplifier_that_changes_nothing_makes_no_candidate() -> None:
    digests = {"trace": "0" * 64, "trace+rewrite": "0" * 64}
    spec = spec_of(export={"search": "fastest", "strategies": ["trace"]})
    stages = FakeStages(digests=digests)
    assert (
        attempt_of(searched(spec, stages), "trace+rewrite").reason
        == "rewrite found nothing to change"
    )
    assert "trace+rewrite" not in stages.timed


def test_more_nodes_are_for_the_benchmark_to_judge_where_it_chooses() -> None:
    stages = FakeStages(nodes={"trace+onnxsim": 11})
    searched(spec_of(export={"search": "fastest", "strategies": ["trace"]}), stages)
    assert "trace+onnxsim" in stages.timed
