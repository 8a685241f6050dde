from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.errors import SpecError
from onnxproof.source.call_convention import how_to_call
from tests.helpers.specs import spec_of

T = torch.Tensor


class TwoInputs(nn.Module):
    def forward(self, x: T, y: T) -> T:
        return x + y


class Optional(nn.Module):
    def forward(self, x: T, *, y: T | None = None) -> T:
        return x


class Positional(nn.Module):
    def forward(self, x: T, /) -> T:
        return x


class Varargs(nn.Module):
    def forward(self, *args: T) -> T:
        return args[0]


class Keywords(nn.Module):
    def forward(self, **kwargs: T) -> T:
        return kwargs["x"]


class More(nn.Module):
    def forward(self, x: T, **kwargs: T) -> T:
        return x


def call_of(module: nn.Module, names: str, call: str = "auto") -> str:
    inputs = dict.fromkeys(names.split(), "float32[4]")
    return how_to_call(module, spec_of(inputs=inputs, source={"call": call}))


@pytest.mark.parametrize(
    ("module", "names", "how"),
    [
        (TwoInputs(), "x y", "keyword"),
        (TwoInputs(), "left right", "positional"),
        (Optional(), "x", "keyword"),
        (Optional(), "x y", "keyword"),
        (Positional(), "x", "positional"),
        (Varargs(), "x y z", "varargs"),
        (Keywords(), "x y", "keyword"),
        (More(), "x mask", "keyword"),
        (nn.Sequential(nn.Linear(4, 4)), "x", "positional"),
        (torch.jit.script(nn.Linear(4, 4)), "input", "keyword"),
    ],
)
def test_inputs_go_by_keyword_where_their_names_are_forwards(
    module: nn.Module, names: str, how: str
) -> None:
    assert call_of(module, names) == how


def test_the_spec_may_ask_for_positions() -> None:
    assert call_of(TwoInputs(), "y x", "positional") == "positional"


@pytest.mark.parametrize(
    ("module", "names", "call", "message"),
    [
        (
            TwoInputs(),
            "x image",
            "auto",
            "inputs image are no parameters of forward, which takes x, y; rename them, or",
        ),
        (
            TwoInputs(),
            "y x",
            "auto",
            "inputs stand as y, x, forward takes x, y; write them in forward's order",
        ),
        (Varargs(), "x", "keyword", "inputs x are no parameters of forward, which takes none"),
        (
            TwoInputs(),
            "x",
            "auto",
            "does not take the inputs x as keyword arguments: missing a required argument: 'y'; i",
        ),
        (
            TwoInputs(),
            "a b c",
            "auto",
            "does not take the inputs a, b, c as positional arguments: too many positional",
        ),
        (Positional(), "x", "keyword", "inputs x are no parameters of forward"),
    ],
)
def test_inputs_that_forward_does_not_take_are_reported_with_what_it_takes(
    module: nn.Module, names: str, call: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        call_of(module, names, call)
    assert message in str(caught.value)


def test_an_instance_attribute_may_be_forward() -> None:
    module: Any = nn.Identity()
    module.forward = lambda x, scale: x * scale
    assert call_of(module, "x scale") == "keyword"
