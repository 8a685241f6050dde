"""docs/export-options.md: the parameters that torch has, and the values that it gets."""

from __future__ import annotations

import inspect
import io
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch.onnx import OperatorExportTypes, TrainingMode, utils

from onnxproof.spec import Spec, StrategyName, read_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROOT, spec_of, work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")
EACH: tuple[StrategyName, ...] = ("dynamo", "trace", "script")

CLASSIC = [
    "export_params", "verbose", "training", "input_names", "output_names", "aten", "export_raw_ir",
    "operator_export_type", "opset_version", "_retain_param_name", "do_constant_folding",
    "example_outputs", "strip_doc_string", "dynamic_axes", "keep_initializers_as_inputs",
    "custom_opsets", "enable_onnx_checker", "use_external_data_format",
]  # fmt: skip
"""Parameters of ``torch.onnx.export`` in PyTorch 1.6 and its neighbors."""


def rows_of(title: str) -> dict[str, str]:
    """Names in the first column of the table below a heading, with the rest of their row."""
    page = (ROOT / "docs" / "export-options.md").read_text(encoding="utf-8")
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.MULTILINE)
    return {name: rest for names, rest in rows for name in re.findall(r"`(\w+)`", names)}


def test_the_table_has_every_parameter_of_the_classic_signature() -> None:
    assert list(rows_of("The classic signature")) == CLASSIC


def test_the_tables_know_the_installed_torch_s_signature_to_the_last_parameter() -> None:
    today = set(inspect.signature(torch.onnx.export).parameters)
    classic, added = rows_of("The classic signature"), rows_of("Added since")
    removed = {name for name, row in classic.items() if row.startswith("Removed")}
    assert (set(classic) - removed) | set(added) == today
    assert not removed & today


SAID = {
    "True": True,
    "False": False,
    "Left at True": True,
    "Left at False": False,
    "Left off": False,
    "Left at EVAL": TrainingMode.EVAL,
    "Left at ONNX": OperatorExportTypes.ONNX,
}
"""Beginnings of what the tables say of onnxproof, where that is one value for every strategy."""
NUMBER = """
import torch

class Scaled(torch.nn.Module):
    def forward(self, x: torch.Tensor, times: int, y: torch.Tensor) -> torch.Tensor:
        return x * times + y

def scaled():
    return Scaled()
"""


def given(strategy: StrategyName, spec: Spec, folder: Path, *roots: Path) -> dict[str, Any]:
    """Every argument with which the one call of ``torch.onnx.export`` was made, defaults too."""
    calls: list[dict[str, Any]] = []
    real = torch.onnx.export

    def record(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(real).bind(*args, **kwargs)
        bound.apply_defaults()
        calls.append(bound.arguments)
        return real(*args, **kwargs)

    work = work_in(folder, *roots)
    loaded = load(spec, work)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", record)
        export(spec, work, loaded, strategy)
    (call,) = calls
    return call


def said_of(parameter: str) -> str:
    """What the tables say that onnxproof gives for a parameter."""
    if row := rows_of("The classic signature").get(parameter):
        return row.split(" | ")[1]
    return rows_of("Added since")[parameter].split(" | ")[1]


@pytest.mark.parametrize("strategy", EACH)
def test_a_value_that_the_tables_state_is_the_one_that_torch_gets(
    strategy: StrategyName, tmp_path: Path
) -> None:
    call = given(strategy, spec_of(), tmp_path)
    stated = {
        name: value
        for name in call
        for words, value in SAID.items()
        if re.match(rf"{words}\b", said_of(name))
    }
    assert set(stated) == {
        "export_params", "training", "operator_export_type", "do_constant_folding",
        "keep_initializers_as_inputs", "report", "optimize", "verify", "profile",
        "dump_exported_program", "artifacts_dir", "export_modules_as_functions",
        "autograd_inlining",
    }  # fmt: skip
    del stated["artifacts_dir"]  # nothing is written there
    assert {name: call[name] for name in stated} == stated
    assert call["dynamo"] is (strategy == "dynamo")
    assert said_of("verbose") == "By strategy: `dynamo` False, TorchScript True"
    assert call["verbose"] is (strategy != "dynamo")
    assert call["model"].training is False


@pytest.mark.parametrize("strategy", EACH)
def test_weights_that_go_outside_are_not_exported_and_not_folded_by_torchscript(
    strategy: StrategyName, tmp_path: Path
) -> None:
    call = given(strategy, spec_of(export={"external_data": "always"}), tmp_path)
    assert call["export_params"] is call["do_constant_folding"] is (strategy == "dynamo")
    for name, words in (
        ("export_params", "True; False for TorchScript where weights go outside"),
        ("do_constant_folding", "True; False for TorchScript where weights go outside"),
    ):
        assert said_of(name) == words


@pytest.mark.parametrize("strategy", EACH)
def test_names_are_those_of_the_spec_and_dynamo_gets_its_tensors_alone(
    strategy: StrategyName, tmp_path: Path
) -> None:
    (tmp_path / f"net_with_number_{strategy}.py").write_text(NUMBER)
    spec = spec_of(
        source={"factory": f"net_with_number_{strategy}:scaled"},
        inputs={"x": "float32[batch, 4]", "times": "int in 2..3", "y": "float32[batch, 4]"},
        dims={"batch": {"max": 8}},
        outputs={"sums": {}},
    )
    call = given(strategy, spec, tmp_path / "work", tmp_path)
    tensors = ["x", "y"] if strategy == "dynamo" else ["x", "times", "y"]
    assert (list(call["input_names"]), list(call["output_names"])) == (tensors, ["sums"])
    # Tracing would make an input of a default that is a number, so it gets everything by position.
    assert list(call["kwargs"]) == ([] if strategy == "trace" else ["x", "times", "y"])
    assert len(call["args"]) == (3 if strategy == "trace" else 0)


@pytest.mark.parametrize("strategy", EACH)
def test_the_opset_is_the_specs_or_the_newest_that_both_sides_take(
    strategy: StrategyName, tmp_path: Path
) -> None:
    own = given(strategy, spec_of(export={"opset": 18}), tmp_path / "own")
    newest = given(strategy, spec_of(export={"min_onnxruntime": "1.23"}), tmp_path / "newest")
    assert own["opset_version"] == 18
    assert newest["opset_version"] == (23 if strategy == "dynamo" else 20)


@pytest.mark.parametrize("strategy", EACH)
def test_dims_are_axes_for_torchscript_and_shapes_with_ranges_for_dynamo(
    strategy: StrategyName, tmp_path: Path
) -> None:
    call = given(strategy, spec_of(), tmp_path)
    if strategy == "dynamo":
        (dim,) = call["dynamic_shapes"]["x"].values()
        assert (dim.__name__, dim.min, dim.max) == ("batch", 1, 8)
        assert call["dynamic_axes"] is None
    else:
        assert call["dynamic_axes"] == {"x": {0: "batch"}}
        assert call["dynamic_shapes"] is None


@pytest.mark.parametrize("strategy", EACH)
def test_torchscript_writes_to_a_buffer_and_dynamo_to_nothing(
    strategy: StrategyName, tmp_path: Path
) -> None:
    file = given(strategy, spec_of(), tmp_path)["f"]
    assert file is None if strategy == "dynamo" else isinstance(file, io.BytesIO)


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_translations_are_a_table_for_dynamo_and_domains_for_torchscript(
    strategy: StrategyName, tmp_path: Path
) -> None:
    spec = read_spec(ROOT / "examples" / "custom_operator.yaml", ["check.samples=1"])
    call = given(strategy, spec, tmp_path)
    if strategy == "dynamo":
        assert [str(overload) for overload in call["custom_translation_table"]] == [
            "examples.swirl.default"
        ]
        assert call["custom_opsets"] is None
    else:
        assert call["custom_opsets"] == {"examples": 1}
        assert call["custom_translation_table"] is None


def test_torchscript_s_exporter_calls_no_checker() -> None:
    def no_such(g: Any, value: Any) -> Any:
        return g.op("NoSuchOperator", value)

    buffer: Any = io.BytesIO()
    utils.register_custom_op_symbolic("aten::relu", no_such, 20)
    try:
        torch.onnx.export(torch.nn.ReLU(), (torch.ones(2),), buffer, dynamo=False, opset_version=20)
    finally:
        utils.unregister_custom_op_symbolic("aten::relu", 20)
    with pytest.raises(onnx.checker.ValidationError, match="NoSuchOperator"):
        onnx.checker.check_model(buffer.getvalue())
    assert "TorchScript calls no checker" in rows_of("The classic signature")["enable_onnx_checker"]
