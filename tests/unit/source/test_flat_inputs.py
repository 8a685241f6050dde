from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.check.stage import check_in_child
from onnxproof.errors import SpecError
from onnxproof.records import Run
from onnxproof.spec import StrategyName, parse_spec
from onnxproof.spec.nested_inputs import flat_inputs, nest
from tests.helpers.graphs import export, load
from tests.helpers.specs import source_of, work_in

pytestmark = pytest.mark.filterwarnings("ignore")
NETS = """
import torch
from torch import nn

class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, features, pair, scale=2.0):
        seen = self.layer(features["image"]) * scale
        return {"seen": seen, "parts": (features["mask"].float() * pair[0], None, pair[1])}

class Listed(nn.Module):
    def forward(self, tensors):
        return tensors[0] + tensors[1]

class Many(nn.Module):
    def forward(self, *tensors):
        return torch.cat(tensors, dim=1)

class Named(nn.Module):
    def forward(self, **tensors):
        return tensors["x"] * tensors["y"]
"""
NESTED: dict[str, Any] = {
    "features": {"image": "float32[batch, 4]", "mask": "bool[batch, 2]"},
    "pair": ["float32[batch, 2]", "int64[batch, 3] in 0..9"],
}
TWO = {"x": "float32[batch, 2]", "y": "float32[batch, 2]"}


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
@pytest.mark.parametrize(
    ("net", "inputs", "call", "how"),
    [
        ("Nested", NESTED, "auto", "keyword"),
        ("Listed", TWO, "list", "list"),
        ("Many", TWO, "auto", "varargs"),
        ("Named", TWO, "auto", "keyword"),
    ],
)
def test_inputs_in_dicts_tuples_lists_and_varargs_are_proven(
    tmp_path: Path, net: str, inputs: dict[str, Any], call: str, how: str, strategy: StrategyName
) -> None:
    module = f"nets_{net}_{strategy}"
    (tmp_path / f"{module}.py").write_text(NETS)
    source = {"factory": f"{module}:{net}", "call": call}
    spec = parse_spec(
        {
            "name": "toy",
            "source": source,
            "inputs": inputs,
            "dims": {"batch": {"max": 4}},
            "check": {"samples": 1},
        }
    )
    work = work_in(tmp_path / "work", tmp_path)
    loaded = load(spec, work)
    assert loaded.call == how
    assert loaded.module_class == f"{module}.{net}"
    candidate = export(spec, work, loaded, strategy)
    result = check_in_child(Run(spec, work, loaded), candidate)
    assert result.proven, result.reason
    if net == "Nested":
        names = [reference_input.name for reference_input in loaded.reference.inputs]
        assert names == ["features.image", "features.mask", "pair.0", "pair.1"]
        assert [output.name for output in loaded.reference.outputs] == [
            "seen",
            "parts_0",
            "parts_2",
        ]


def test_nested_names_make_the_arguments_they_came_from() -> None:
    flat = flat_inputs({"a": {"k": 1, "t": [2, 3]}, "b": 4})
    assert flat == {"a.k": 1, "a.t.0": 2, "a.t.1": 3, "b": 4}
    assert nest(list(flat), list(flat.values())) == {"a": {"k": 1, "t": (2, 3)}, "b": 4}


def test_the_places_of_a_tuple_are_numbers_in_their_order() -> None:
    names = [f"t.{number}" for number in (10, 2, 0)]
    assert nest(names, names) == {"t": ("t.0", "t.2", "t.10")}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a b": "float32[2]"}, "input 'a b' is no name; write letters"),
        (
            {"a": "float32[2]", "a.k": "float32[2]"},
            "input 'a' is a tensor, and 'a.k' makes a group",
        ),
        ({"a": {"k": "flaot32[2]"}}, "inputs.a.k: unknown dtype 'flaot32'"),
    ],
)
def test_names_that_make_no_arguments_are_reported(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec({"name": "toy", "source": {"factory": "a:b"}, "inputs": inputs})
    assert message in str(caught.value)


def test_varargs_need_a_forward_that_takes_them() -> None:
    with pytest.raises(SpecError, match=r"takes no \*arguments; set source.call: positional"):
        source_of(nn.Linear(4, 3), source={"call": "varargs"})


def test_a_flat_module_has_the_weights_and_the_answers_of_the_model() -> None:
    model = nn.Bilinear(2, 2, 3)
    inputs = {"pair": {"left": "float32[2]", "right": "float32[2]"}}

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, pair: dict[str, torch.Tensor]) -> torch.Tensor:
            result: torch.Tensor = self.model(pair["left"], pair["right"])
            return result

    source = source_of(Pair(), inputs=inputs)
    left, right = torch.ones(2), torch.zeros(2)
    assert torch.equal(source.module(left, right), model(left, right))
    assert not source.module.training
    assert len(list(source.module.parameters())) == len(list(model.parameters()))
