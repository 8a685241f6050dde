from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import get_args

import onnxruntime
import pytest
import torch

from onnxproof.errors import ExportError, SpecError
from onnxproof.export.strategies import STRATEGIES, choose_opset
from onnxproof.graph.opset import _SUPPORT
from onnxproof.spec import Export, StrategyName
from onnxproof.spec.schema import Translation
from tests.helpers.graphs import model_of

CPU = "CPUExecutionProvider"
DYNAMO, TRACE = STRATEGIES["dynamo"], STRATEGIES["trace"]


@pytest.mark.parametrize(
    ("runtime", "dynamo", "torchscript", "ir_version"),
    [
        ("1.14", 18, 18, 8),
        ("1.16", 19, 19, 9),
        ("1.17", 20, 20, 9),
        ("1.18", 21, 20, 10),
        ("1.22", 22, 20, 10),
        ("1.23", 23, 20, 11),
        ("1.31", 23, 20, 13),
        ("1.32", 23, 20, 14),
        ("2.0", 23, 20, 14),
    ],
)
def test_auto_is_the_newest_that_a_strategy_builds_and_the_declared_runtime_loads(
    runtime: str, dynamo: int, torchscript: int, ir_version: int
) -> None:
    export = Export(min_onnxruntime=runtime)
    assert choose_opset(export, "dynamo") == (dynamo, ir_version)
    assert choose_opset(export, "trace") == (torchscript, ir_version)
    assert choose_opset(export, "script") == (torchscript, ir_version)


def test_the_spec_and_the_registry_name_the_same_strategies_and_exporters() -> None:
    assert tuple(STRATEGIES) == get_args(StrategyName)
    exporters = {strategy.exporter for strategy in STRATEGIES.values()}
    assert exporters == set(Translation.model_fields)


def test_the_highest_opsets_are_those_of_the_installed_torch() -> None:
    assert DYNAMO.highest_opset == torch.onnx._constants.ONNX_MAX_OPSET
    assert TRACE.highest_opset == torch.onnx._constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET


def newest_that_loads(opsets: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The last of these pairs of opset and IR version that the installed ONNX Runtime loads."""
    found = (0, 0)
    for opset, ir_version in opsets:
        text = f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>'
        model = model_of(f"{text} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}")
        with contextlib.suppress(Exception):  # ONNX Runtime's classes have no common base
            onnxruntime.InferenceSession(model.SerializeToString(), providers=[CPU])
            found = (opset, ir_version)
    return found


def test_the_table_says_of_the_installed_runtime_what_it_really_loads() -> None:
    major, minor, _ = onnxruntime.__version__.split(".")
    opset, ir_version = _SUPPORT[max(row for row in _SUPPORT if row <= (int(major), int(minor)))]
    assert newest_that_loads((version, 8) for version in range(18, 31))[0] == opset
    assert newest_that_loads((18, version) for version in range(8, 17))[1] == ir_version


def test_a_runtime_that_no_exporter_serves_is_refused() -> None:
    with pytest.raises(SpecError, match=r"min_onnxruntime 1.9 is below 1.14, .*; raise it"):
        choose_opset(Export(min_onnxruntime="1.9"), "trace")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_opset_that_the_runtime_does_not_load_is_refused(strategy: StrategyName) -> None:
    with pytest.raises(SpecError) as caught:
        choose_opset(Export(opset=21, min_onnxruntime="1.17"), strategy)
    assert str(caught.value) == (
        "export.opset 21 is newer than ONNX Runtime 1.17 loads (opset 20); lower it, or raise "
        "export.min_onnxruntime"
    )


@pytest.mark.parametrize(
    ("strategy", "opset"),
    [
        ("dynamo", DYNAMO.lowest_opset),
        ("dynamo", DYNAMO.highest_opset),
        ("trace", 13),
        ("trace", TRACE.highest_opset),
        ("script", 13),
    ],
)
def test_an_opset_that_a_strategy_builds_is_taken(strategy: StrategyName, opset: int) -> None:
    export = Export(opset=opset, min_onnxruntime="1.23")
    assert choose_opset(export, strategy)[0] == opset


@pytest.mark.parametrize(
    ("strategy", "opset", "message"),
    [
        ("dynamo", 17, "dynamo builds opset 18 and later, export.opset is 17; raise it, or take"),
        ("trace", 21, "trace builds opsets up to 20, export.opset is 21; lower it, or take"),
        ("script", 21, "script builds opsets up to 20, export.opset is 21; lower it, or take"),
    ],
)
def test_an_opset_that_a_strategy_does_not_build_leaves_it_to_the_others(
    strategy: StrategyName, opset: int, message: str
) -> None:
    with pytest.raises(ExportError) as caught:
        choose_opset(Export(opset=opset), strategy)
    assert message in str(caught.value)
