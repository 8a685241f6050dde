from __future__ import annotations

import pytest

from onnxproof.errors import ExportError, SpecError
from onnxproof.opset import DYNAMO_LOWEST, TRACED_HIGHEST, choose_opset
from onnxproof.spec import Export, Strategy

STRATEGIES: tuple[Strategy, ...] = ("dynamo", "trace", "script")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("runtime", "opset", "ir_version"),
    [("1.14", 18, 8), ("1.15", 19, 8), ("1.17", 20, 9), ("1.18", 20, 10), ("1.32", 20, 10)],
)
def test_auto_is_what_the_oldest_declared_runtime_loads(
    strategy: Strategy, runtime: str, opset: int, ir_version: int
) -> None:
    assert choose_opset(Export(min_onnxruntime=runtime), strategy) == (opset, ir_version)


def test_a_runtime_that_no_exporter_serves_is_refused() -> None:
    with pytest.raises(SpecError, match=r"min_onnxruntime 1.9 is below 1.14, .*; raise it"):
        choose_opset(Export(min_onnxruntime="1.9"), "trace")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_opset_that_the_runtime_does_not_load_is_refused(strategy: Strategy) -> None:
    with pytest.raises(SpecError) as caught:
        choose_opset(Export(opset=21, min_onnxruntime="1.17"), strategy)
    assert str(caught.value) == (
        "export.opset 21 is newer than ONNX Runtime 1.17 loads (opset 20); lower it, or raise "
        "export.min_onnxruntime"
    )


@pytest.mark.parametrize(
    ("strategy", "opset"),
    [
        ("dynamo", DYNAMO_LOWEST),
        ("dynamo", 21),
        ("trace", 13),
        ("trace", TRACED_HIGHEST),
        ("script", 13),
    ],
)
def test_an_opset_that_a_strategy_builds_is_taken(strategy: Strategy, opset: int) -> None:
    assert choose_opset(Export(opset=opset), strategy)[0] == opset


@pytest.mark.parametrize(
    ("strategy", "opset", "remedy"),
    [
        ("dynamo", 17, "dynamo builds opset 18 and later, export.opset is 17; raise it, or take"),
        ("trace", 21, "trace builds opsets up to 20, export.opset is 21; lower it, or take"),
        ("script", 21, "script builds opsets up to 20, export.opset is 21; lower it, or take"),
    ],
)
def test_an_opset_that_a_strategy_does_not_build_leaves_it_to_the_others(
    strategy: Strategy, opset: int, remedy: str
) -> None:
    with pytest.raises(ExportError) as caught:
        choose_opset(Export(opset=opset), strategy)
    assert remedy in str(caught.value)
