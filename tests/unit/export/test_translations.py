from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from onnxproof.api import export_model
from onnxproof.check.stage import check_in_child
from onnxproof.errors import ExportError, ProofRefused, SourceError, SpecError
from onnxproof.export.operators.report_file import read_report
from onnxproof.records import Run
from onnxproof.spec import Spec, StrategyName, parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROOT, work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")
TWIST = """
import onnxscript
import torch
from onnxscript import FLOAT, opset18 as op

@torch.library.custom_op("toys_{name}::twist", mutates_args=())
def twist(x: torch.Tensor) -> torch.Tensor:
    return x + 1

@twist.register_fake
def shape_of_twist(x):
    return torch.empty_like(x)

class Net(torch.nn.Module):
    def forward(self, x):
        return twist(x)

def build():
    return Net()

{translation}
"""
ONNX_FUNCTION = '@onnxscript.script(onnxscript.values.Opset("toys", 1))\n'


def write_twist(folder: Path, translation: str, to: Any = None, **export_fields: Any) -> Spec:
    """A spec of a module with an operator of its own; each test needs another namespace."""
    name = f"twist_{abs(hash(str(folder)))}"
    (folder / f"{name}.py").write_text(TWIST.format(name=name, translation=translation))
    entry = to or f"{name}:translate"
    return parse_spec(
        {
            "name": "twist",
            "source": {"factory": f"{name}:build"},
            "inputs": {"x": "float32[batch, 4]"},
            "dims": {"batch": {"max": 4}},
            "check": {"samples": 1},
            "export": {"translations": {f"toys_{name}::twist": entry}, **export_fields},
        }
    )


@pytest.mark.parametrize("strategy", ["dynamo", "trace", "script"])
def test_the_example_is_proven_with_its_operator_as_a_function_of_the_model(
    strategy: StrategyName, tmp_path: Path
) -> None:
    from onnxproof.spec import read_spec

    spec = read_spec(ROOT / "examples" / "custom_operator.yaml")
    work = work_in(tmp_path)
    loaded = load(spec, work)
    if strategy == "script":
        # TorchScript reads no operator that Python wrapped; it says so.
        with pytest.raises(ExportError, match="script: "):
            export(spec, work, loaded, strategy)
        return
    candidate = export(spec, work, loaded, strategy)
    assert check_in_child(Run(spec, work, loaded), candidate).proven
    model = onnx.load(work.path(candidate.model.path))
    assert [(function.domain, function.name) for function in model.functions] == [
        ("examples", "Swirl")
    ]
    calls = [node for node in model.graph.node if node.op_type == "Swirl"]
    attributes = [
        {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in call.attribute}
        for call in calls
    ]
    assert attributes == [{"turns": 3, "radius": 0.5}, {"turns": 2, "radius": 0.25}]
    report = read_report(work, candidate.label)
    assert report is not None
    swirl = next(operator for operator in report.operators if operator.name == "examples::swirl")
    assert (swirl.count, swirl.onnx) == (2, {"examples::Swirl": 2})
    assert str(ROOT) not in str(model)


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_a_wrong_translation_is_refused_by_the_check(
    strategy: StrategyName, tmp_path: Path
) -> None:
    wrong = f"{ONNX_FUNCTION}def translate(x: FLOAT[...]) -> FLOAT[...]:\n    return op.Add(x, x)\n"
    spec, work = write_twist(tmp_path, wrong), work_in(tmp_path / "work", tmp_path)
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    assert "parity: output" in check_in_child(Run(spec, work, loaded), candidate).reason


def test_a_wrong_translation_is_localized_by_the_whole_chain(
    tmp_path: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = f"{ONNX_FUNCTION}def translate(x: FLOAT[...]) -> FLOAT[...]:\n    return op.Add(x, x)\n"
    monkeypatch.chdir(tmp_path)
    spec = write_twist(tmp_path, wrong, strategies=["dynamo", "trace"])
    with pytest.raises(ProofRefused) as refusal:
        export_model(spec)
    module = spec.source.target.partition(":")[0]
    (line,) = [
        number
        for number, text in enumerate((tmp_path / f"{module}.py").read_text().splitlines(), 1)
        if text.strip() == "return twist(x)"
    ]
    message = re.findall(
        r"; first wrong at node \S+ \((\w+)\), (\S+) \(alone in ", str(refusal.value)
    )
    assert message == [("translate", f"{module}.py:{line}")] * 2


def test_plain_functions_translate_for_one_exporter_each(tmp_path: Path) -> None:
    code = (
        "def dynamo(x):\n    return op.Add(x, op.CastLike(op.Constant(value_float=1.0), x))\n\n"
        "def symbolic(g, x):\n"
        '    one = g.op("Constant", value_t=torch.ones(()))\n'
        '    return g.op("Add", x, one).setType(x.type())\n'
    )
    module = f"twist_{abs(hash(str(tmp_path)))}"
    to = {"dynamo": f"{module}:dynamo", "torchscript": f"{module}:symbolic"}
    spec, work = write_twist(tmp_path, code, to), work_in(tmp_path / "work", tmp_path)
    loaded = load(spec, work)
    for strategy in ("dynamo", "trace"):
        candidate = export(spec, work, loaded, strategy)
        assert check_in_child(Run(spec, work, loaded), candidate).proven
        assert not onnx.load(work.path(candidate.model.path)).functions


def test_a_translation_for_one_exporter_leaves_the_other_without(tmp_path: Path) -> None:
    module = f"twist_{abs(hash(str(tmp_path)))}"
    code = "def dynamo(x):\n    return op.Identity(x)\n"
    spec = write_twist(tmp_path, code, {"dynamo": f"{module}:dynamo"})
    work = work_in(tmp_path / "work", tmp_path)
    with pytest.raises(ExportError, match=r"1 operator does not translate .*::twist \(once, first"):
        export(spec, work, load(spec, work), "trace")


def test_a_translation_is_gone_after_the_export(tmp_path: Path) -> None:
    from torch.onnx._internal.torchscript_exporter import registration

    code = (
        f"{ONNX_FUNCTION}def translate(x: FLOAT[...]) -> FLOAT[...]:\n    return op.Identity(x)\n"
    )
    spec, work = write_twist(tmp_path, code), work_in(tmp_path / "work", tmp_path)
    export(spec, work, load(spec, work), "trace")
    (name,) = spec.export.translations
    assert not registration.registry.is_registered_op(name, 20)


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_what_a_translation_raises_is_reported_with_its_name(
    strategy: StrategyName, tmp_path: Path
) -> None:
    code = "def translate(*args):\n    raise ValueError('not today')\n"
    spec, work = write_twist(tmp_path, code), work_in(tmp_path / "work", tmp_path)
    with pytest.raises(ExportError, match=r":translate of .*::twist raised ValueError: not today"):
        export(spec, work, load(spec, work), strategy)


def test_a_function_without_an_annotated_output_is_refused(tmp_path: Path) -> None:
    # PyTorch 2.13 would make a graph without nodes of it.
    code = f"{ONNX_FUNCTION}def translate(x):\n    return op.Identity(x)\n"
    spec, work = write_twist(tmp_path, code), work_in(tmp_path / "work", tmp_path)
    with pytest.raises(ExportError, match="returns 1 and is annotated with 0; annotate what"):
        export(spec, work, load(spec, work), "dynamo")


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_an_operator_that_pytorch_does_not_have_is_bad_input(
    strategy: StrategyName, tmp_path: Path
) -> None:
    spec = write_twist(tmp_path, "def translate(x):\n    return x\n")
    (name,) = spec.export.translations
    written = spec.model_dump(mode="json")
    written["export"]["translations"] = {
        name.replace("twist", "twits"): written["export"]["translations"][name]
    }
    work = work_in(tmp_path / "work", tmp_path)
    spec = parse_spec(written)
    with pytest.raises(SpecError, match="which PyTorch does not have once the model is built"):
        export(spec, work, load(spec, work), strategy)


def test_a_translation_that_cannot_be_called_is_bad_input(tmp_path: Path) -> None:
    spec = write_twist(tmp_path, "translate = 3\n")
    work = work_in(tmp_path / "work", tmp_path)
    with pytest.raises(SourceError, match=r"export.translations .*::twist: .* is int, not call"):
        export(spec, work, load(spec, work), "dynamo")


@pytest.mark.parametrize("name", ["twist", "a::b::c", "a::b.c.d"])
def test_translations_are_by_operators_as_pytorch_spells_them(name: str) -> None:
    with pytest.raises(SpecError, match=r"export\.translations"):
        parse_spec(
            {
                "name": "x",
                "source": {"factory": "a:b"},
                "inputs": {"x": "float32[2]"},
                "export": {"translations": {name: "a:b"}},
            }
        )
