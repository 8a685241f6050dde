from __future__ import annotations

from pathlib import Path

import pytest

from onnxproof.commands.operators import list_operators
from onnxproof.errors import ExportError
from onnxproof.export.operators.log import MAX_LOCATIONS, OperatorLog
from onnxproof.export.operators.report_file import read_report
from onnxproof.isolation.child import prepare_children
from onnxproof.records import OperatorReport
from onnxproof.report.operators import operator_notes, operator_rows
from onnxproof.spec import Spec, StrategyName, parse_spec
from onnxproof.usercode.source_lines import author_line
from tests.helpers.graphs import export, load
from tests.helpers.specs import work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")
NET = """\
import torch
from torch import nn

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.linear(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x.softmax(-1)

def net():
    return Net()
"""
ODD = """\
import torch
from torch import nn

class Odd(nn.Module):
    def forward(self, x):
        x = torch.special.airy_ai(x)
        x = torch.special.modified_bessel_k1(x)
        return torch.special.airy_ai(x)

def odd():
    return Odd()
"""


def spec_for(factory: str, **fields: object) -> Spec:
    return parse_spec(
        {
            "name": "net",
            "source": {"factory": factory},
            "inputs": {"x": "float32[batch, 4]"},
            "dims": {"batch": {"max": 4}},
            "check": {"samples": 1},
            **fields,
        }
    )


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "some_net.py").write_text(NET)
    (folder / "odd_net.py").write_text(ODD)
    return folder


@pytest.mark.parametrize("strategy", ["dynamo", "trace", "script"])
def test_each_operator_has_its_onnx_nodes_lines_and_modules(
    strategy: StrategyName, code: Path, tmp_path: Path
) -> None:
    spec, work = spec_for("some_net:net"), work_in(tmp_path, code)
    candidate = export(spec, work, load(spec, work), strategy)
    report = read_report(work, candidate.label)
    assert report is not None
    assert (report.strategy, report.opset, report.fault) == (strategy, candidate.opset, "")
    by_name = {operator.name: operator for operator in report.operators}
    relu, linear = by_name["aten::relu"], by_name["aten::linear"]
    assert (relu.count, relu.onnx) == (2, {"Relu": 2})
    locations = [(place.module, place.line) for place in relu.locations]
    assert locations == [("layers.0", "some_net.py:10"), ("layers.1", "some_net.py:10")]
    assert (linear.count, linear.onnx) == (2, {"Gemm": 2})
    line = "torch/nn/modules/linear.py" if strategy == "script" else "some_net.py:10"
    assert linear.locations[0].module == "layers.0.linear"
    assert linear.locations[0].line.startswith(line)
    assert any(name.startswith("aten::softmax") for name in by_name)


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_all_operators_without_a_translation_are_named_at_once(
    strategy: StrategyName, code: Path, tmp_path: Path
) -> None:
    spec, work = spec_for("odd_net:odd"), work_in(tmp_path, code)
    with pytest.raises(ExportError) as caught:
        export(spec, work, load(spec, work), strategy)
    text = str(caught.value)
    assert "2 operators do not translate to ONNX opset" in text
    assert "aten::special_airy_ai (2 times, first at odd_net.py:6)" in text
    assert "aten::special_modified_bessel_k1 (once, first at odd_net.py:7)" in text
    assert caught.value.where == "odd_net.py:6"
    assert "export.translations" in caught.value.hint


def test_a_list_of_operators_goes_on_where_a_strategy_fails(code: Path) -> None:
    prepare_children()
    spec = spec_for("odd_net:odd", export={"opset": 16})
    dynamo, trace = list_operators(spec, [str(code)], [], ["dynamo", "trace"])
    assert (dynamo.opset, dynamo.operators) == (None, ())
    assert "dynamo builds opset 18" in dynamo.fault
    assert [operator.count for operator in trace.untranslated] == [2, 1]
    assert "2 operators do not translate" in trace.fault


TRACE = """  File "{root}/net.py", line 4, in forward
    x = layer(x)
  File "{root}/deep/layer.py", line 9, in forward
    return F.linear(x)
  File "{packages}/torch/nn/functional.py", line 99, in linear
"""


def test_the_line_is_the_innermost_of_the_authors_own(tmp_path: Path) -> None:
    packages = Path(pytest.__file__).parents[1]
    trace = TRACE.format(root=tmp_path, packages=packages)
    assert author_line(trace, [str(tmp_path)]) == "deep/layer.py:9"
    of_torch = f"{packages}/torch/nn/functional.py(99): linear\n{packages}/torch/x.py(1): y\n"
    traced = f"{of_torch}{tmp_path}/deep/layer.py(9): forward\n{tmp_path}/net.py(4): forward\n"
    assert author_line(traced, [str(tmp_path)]) == "deep/layer.py:9"
    assert author_line(of_torch, [str(tmp_path)]) == "torch/nn/functional.py:99"
    assert author_line("", [str(tmp_path)]) == ""


def test_no_line_tells_a_folder_of_this_machine(tmp_path: Path) -> None:
    trace = TRACE.format(root="/elsewhere/project", packages="/other/place")
    assert author_line(trace, [str(tmp_path)]) == "functional.py:99"


def test_a_report_holds_a_few_places_of_each_operator() -> None:
    log = OperatorLog("dynamo", 20, [])
    for number in range(9):
        log.found("aten::relu", f"layers.{number}", "")
        log.became("aten::relu", "Relu")
    log.became(None, "Constant")
    (relu,) = log.report().operators
    assert (relu.count, relu.onnx, len(relu.locations)) == (9, {"Relu": 9}, MAX_LOCATIONS)
    assert log.report().others == {"Constant": 1}


def test_rows_say_what_became_of_nothing_and_what_has_no_translation() -> None:
    log = OperatorLog("trace", 20, [])
    for name in ("aten::dropout", "aten::histc", "aten::linear"):
        log.found(name, "head", 'File "gone.py", line 3')
    log.became("aten::linear", "Gemm")
    log.became("aten::linear", "Gemm")
    log.untranslated("aten::histc", "no translation")
    rows = operator_rows(log.report())
    onnx = ["nothing: folded or merged", "no translation", "2 Gemm"]
    assert [row["ONNX"] for row in rows] == onnx
    assert rows[0]["where"] == "gone.py:3 in head"
    unknown = OperatorReport(strategy="trace", operators=(), unknown="the lines")
    assert operator_notes(unknown) == ["The lines."]
