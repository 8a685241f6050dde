from __future__ import annotations

import pytest
import torch
from torch import nn

from onnxproof.errors import LoadError, ReferenceRefused
from onnxproof.reference.determinism import refuse_nondeterminism
from tests.helpers.models import DropoutOn, Linear, Tokens
from tests.helpers.specs import source_of


class Noise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Around(nn.Module):
    """A module with a noisy one inside, and others around it."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.before = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.ReLU(), inside)
        self.after = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.after(self.block(self.before(x)))
        return result


class InPlace(nn.Module):
    """Noise that changes its input, and so what its parent was asked."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.add_(torch.rand_like(x))


class Counts(Linear):
    """Remembers how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x) + self.calls


class SkipsLayer(Counts):
    """Calls its layer every other time only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x[:, :3] if self.calls % 2 else Linear.forward(self, x)


class HalfInside(nn.Module):
    """NumPy has no bfloat16, and a submodule may give what a graph may not."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Linear(4, 4).bfloat16()
        self.words = Words()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.narrow(x.bfloat16()).float()
        return result * len(self.words(x, "more"))


class Words(nn.Module):
    def forward(self, x: torch.Tensor, text: str) -> list[str]:
        return [text, text]


def refusal(module: nn.Module) -> str:
    with pytest.raises(ReferenceRefused) as caught:
        refuse_nondeterminism(source_of(module))
    return str(caught.value)


@pytest.mark.parametrize(
    "module",
    [
        Linear(),
        Around(nn.Dropout(0.5)),
        HalfInside(),
        nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 4)),
        torch.jit.script(nn.Linear(4, 4)),
        Around(torch.jit.script(nn.ReLU())),
    ],
    ids=["linear", "dropout", "odd values inside", "in place", "scripted", "scripted inside"],
)
def test_a_model_that_answers_alike_is_taken(module: nn.Module) -> None:
    refuse_nondeterminism(source_of(module))


def test_a_model_that_takes_several_inputs_is_asked_with_all_of_them() -> None:
    inputs = {"input_ids": "int64[b, s] in 0..49", "attention_mask": "int64[b, s] mask"}
    refuse_nondeterminism(
        source_of(Tokens(), inputs=inputs, dims={"b": {"max": 8}, "s": {"max": 8}})
    )


@pytest.mark.parametrize(
    ("module", "place"),
    [
        (Around(Noise()), "block.1 (Noise)"),
        (Around(nn.Sequential(nn.ReLU(), Noise())), "block.1.1 (Noise)"),
        (Around(InPlace()), "block.1 (InPlace)"),
        (DropoutOn(), "forward (DropoutOn)"),
        (Around(DropoutOn()), "block.1 (DropoutOn)"),
        (Counts(), "forward (Counts)"),
        (SkipsLayer(), "forward (SkipsLayer)"),
        (Noise(), "forward (Noise)"),
    ],
)
def test_the_innermost_module_that_answers_by_nondeterminism_is_named(
    module: nn.Module, place: str
) -> None:
    torch.manual_seed(0)
    if isinstance(module, Around) and isinstance(module.block[1], DropoutOn):
        module.after = nn.Linear(3, 2)
    assert refusal(module) == (
        f"the model answers the same input differently on every call, first in {place}; "
        "turn dropout off (F.dropout needs training=self.training) and take random numbers out "
        "of forward"
    )


def test_nondeterminism_inside_a_scripted_module_is_refused_too() -> None:
    assert "first in forward" in refusal(torch.jit.script(Noise()))


def test_a_model_that_raises_is_reported_with_the_sizes() -> None:
    with pytest.raises(LoadError, match="forward raised at batch=3, which the spec declares"):
        refuse_nondeterminism(source_of(nn.Linear(5, 1)))


def test_no_hook_is_left_behind() -> None:
    module = Around(nn.ReLU())
    refuse_nondeterminism(source_of(module))
    assert not any(
        submodule._forward_hooks or submodule._forward_pre_hooks for submodule in module.modules()
    )
