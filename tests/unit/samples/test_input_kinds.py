"""Inputs of every dtype and rank, and those that no output needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxproof.check.stage import check_in_child
from onnxproof.errors import LoadError, SpecError
from onnxproof.records import CheckResult, Run
from onnxproof.samples.generate import draw
from onnxproof.spec import StrategyName, parse_spec
from onnxproof.spec.inputs import InputSpec
from tests.helpers.graphs import export, load
from tests.helpers.specs import Does, source_of, spec_of, work_in, write_reference

pytestmark = pytest.mark.filterwarnings("ignore")
NETS = """
import torch
from torch import nn

class Half(nn.Linear):
    def __init__(self):
        super().__init__(4, 3, dtype=torch.float16)

class Scalars(nn.Module):
    def forward(self, x, k, t, flag):
        return {"a": x * k, "b": torch.where(flag, t, t + 1)}

class Booleans(nn.Module):
    def forward(self, m):
        return m.any(dim=1), ~m

class Bytes(nn.Module):
    def forward(self, x):
        return x.float() / 255

class Masked(nn.Module):
    def forward(self, scores, mask):
        return torch.softmax(scores + mask, dim=-1)

class Optional(nn.Module):
    def forward(self, x, mask=None):
        return x if mask is None else x * mask

class Unused(nn.Module):
    def forward(self, x, y):
        return x * 2
"""
X = {"x": "float32[batch, 4]"}
KINDS: list[tuple[str, dict[str, str]]] = [
    ("Half", {"input": "float16[batch, 4]"}),
    ("Scalars", {**X, "k": "float32[]", "t": "int64[] in 1..4", "flag": "bool[]"}),
    ("Booleans", {"m": "bool[batch, 4]"}),
    ("Bytes", {"x": "uint8[batch, 4] in 0..255"}),
    (
        "Masked",
        {"scores": "float32[batch, 2, 5, 5]", "mask": "float32[batch, 1, 1, 5] additive_mask"},
    ),
    ("Optional", X),
    ("Optional", {**X, "mask": "float32[batch, 4]"}),
]


def checked(folder: Path, net: str, inputs: dict[str, str], strategy: StrategyName) -> CheckResult:
    module = f"kinds_{folder.name}"
    (folder / f"{module}.py").write_text(NETS)
    spec = parse_spec(
        {
            "name": "toy",
            "source": {"factory": f"{module}:{net}"},
            "inputs": inputs,
            "dims": {"batch": {"max": 4}},
            "check": {"samples": 2},
        }
    )
    work = work_in(folder / "work", folder)
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    return check_in_child(Run(spec, work, loaded), candidate)


@pytest.mark.parametrize(("net", "inputs"), KINDS, ids=[f"{n}-{len(i)}" for n, i in KINDS])
def test_dtypes_scalars_masks_and_optional_inputs_are_proven(
    tmp_path: Path, net: str, inputs: dict[str, str]
) -> None:
    result = checked(tmp_path, net, inputs, "trace")
    assert result.proven, result.reason


UNUSED = {**X, "y": "float32[batch, 2]"}


def test_an_input_that_no_output_needs_is_kept_by_dynamo(tmp_path: Path) -> None:
    assert checked(tmp_path, "Unused", UNUSED, "dynamo").proven


@pytest.mark.parametrize("strategy", ["trace", "script"])
def test_an_input_that_no_output_needs_is_reported_where_it_is_left_out(
    tmp_path: Path, strategy: StrategyName
) -> None:
    reason = checked(tmp_path, "Unused", UNUSED, strategy).reason
    assert reason.startswith("contract: input 'y' is not in the graph; forward does not use it: no")
    assert "Remove it from inputs, or export by dynamo, which keeps it" in reason


def test_an_input_in_bfloat16_is_refused_with_the_reason() -> None:
    with pytest.raises(SpecError, match="an input of bfloat16 cannot be proven: ONNX Runtime has"):
        spec_of(inputs={"x": "bfloat16[4]"})


def test_an_output_in_bfloat16_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"output 'output' of bfloat16 .* use float32 or float16"):
        write_reference(tmp_path, Does(lambda x: x.bfloat16()))


def mask_of(line: str) -> Any:
    return draw({"m": InputSpec.model_validate(line)}, {}, 0, 1)["m"]


def test_a_mask_of_four_sizes_is_one_mask_for_each_row() -> None:
    mask = mask_of("bool[3, 2, 5, 7] mask")
    assert mask.shape == (3, 2, 5, 7)
    assert (mask == mask[:, :1, :1]).all()
    assert (np.diff(mask[:, 0, 0].astype(int), axis=1) <= 0).all()


def test_an_additive_mask_is_zero_or_the_lowest_number() -> None:
    mask = mask_of("float32[4, 1, 1, 7] additive_mask")
    assert set(np.unique(mask)) == {0.0, np.finfo(np.float32).min}
    assert (mask[..., 0] == 0).all()


def test_an_additive_mask_is_a_float() -> None:
    with pytest.raises(SpecError, match="is added to scores, and int64 is no float"):
        source_of(Does(abs), inputs={"x": "int64[2, 3] additive_mask"})
