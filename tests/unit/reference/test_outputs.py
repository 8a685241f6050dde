from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onnxproof.errors import LoadError, OnnxproofError, ReferenceRefused, SpecError
from onnxproof.reference.outputs import flatten, run
from tests.helpers.models import Nan, Tokens
from tests.helpers.specs import Does, source_of, write_reference

ONE, TWO = torch.ones(1), torch.full((1,), 2.0)
TOKENS: dict[str, Any] = {
    "inputs": {
        "input_ids": "int64[batch, 2*seq] in 0..49",
        "attention_mask": "int64[batch, 2*seq] mask",
    },
    "dims": {"batch": {"max": 8}, "seq": {"max": 4}},
}


@dataclass
class Result:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] | None = None


class ModelOutput(OrderedDict[str, Any]):
    """As transformers returns it: a mapping."""


def refusal(
    folder: Path, module: nn.Module, error: type[OnnxproofError] = ReferenceRefused, **sections: Any
) -> str:
    with pytest.raises(error) as caught:
        write_reference(folder, module, **sections)
    return str(caught.value)


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ONE, ["output"]),
        ((ONE,), ["output_0"]),
        ([ONE, TWO], ["output_0", "output_1"]),
        ({"logits": ONE, "aux": TWO}, ["logits", "aux"]),
        ({0: ONE}, ["0"]),
        (Result(ONE), ["logits"]),
        (Result(ONE, (ONE, TWO)), ["logits", "hidden_0", "hidden_1"]),
        (ModelOutput(logits=ONE, past=[(ONE, TWO)]), ["logits", "past_0_0", "past_0_1"]),
        ((ONE, None, TWO), ["output_0", "output_2"]),
        ((ONE, {"a": [TWO, None]}), ["output_0", "output_1_a_0"]),
        (None, []),
    ],
    ids=[
        "tensor", "tuple of one", "list", "dict", "numbered", "dataclass", "nested dataclass",
        "mapping", "none between", "nested", "none",
    ],
)  # fmt: skip
def test_nested_results_have_stable_names(result: Any, names: list[str]) -> None:
    assert [name for name, _ in flatten(result)] == names


def test_tensors_stand_in_the_order_of_the_result() -> None:
    values = [tensor.item() for _, tensor in flatten({"b": TWO, "a": (ONE, [TWO])})]
    assert values == [2, 1, 2]


@pytest.mark.parametrize(
    ("result", "place"),
    [(3, "int at output"), ((ONE, "text"), "str at output_1"), ({"n": [1.5]}, "float at n_0")],
)
def test_what_is_no_tensor_is_reported_with_its_place(result: Any, place: str) -> None:
    with pytest.raises(LoadError) as caught:
        list(flatten(result))
    assert str(caught.value) == (
        f"forward returns {place}; an ONNX graph gives tensors only, so wrap the module in one "
        "that returns those"
    )


def test_the_spec_may_name_the_outputs(tmp_path: Path) -> None:
    found = write_reference(tmp_path, Tokens(), **TOKENS, outputs={"states": {}, "embedding": {}})
    assert [output.name for output in found.outputs] == ["states", "embedding"]


def test_outputs_of_the_wrong_count_are_reported_with_what_forward_gives(tmp_path: Path) -> None:
    assert refusal(tmp_path, Tokens(), SpecError, **TOKENS, outputs={"embedding": {}}) == (
        "outputs names 1 (embedding), forward gives 2 (hidden, pooled); name each of them, or none"
    )


@pytest.mark.parametrize(
    ("function", "outputs", "message"),
    [
        (
            lambda x: {"a_b": x, "a": {"b": x * 2}},
            {},
            "are a_b, a_b, and 'a_b' names another value too; give them 2 names of their own",
        ),
        (lambda x: {"x": x * 2}, {}, "forward's outputs are x, and 'x' names another value too"),
        (lambda x: x * 2, {"x": {}}, "forward's outputs are x, and 'x' names another value too"),
    ],
    ids=["twice", "an input's", "an input's, in the spec"],
)
def test_a_name_means_one_value_only(
    tmp_path: Path, function: Any, outputs: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, Does(function), SpecError, outputs=outputs)


@pytest.mark.parametrize("result", [None, (), {}, {"past": None}], ids=str)
def test_a_model_that_gives_nothing_is_no_model(tmp_path: Path, result: Any) -> None:
    text = refusal(tmp_path, Does(lambda x: result), LoadError)
    assert text == "forward returns no tensor, so there is nothing to export; return one"


def test_an_output_that_numpy_does_not_have_is_reported(tmp_path: Path) -> None:
    text = refusal(tmp_path, Does(lambda x: x.to_sparse()), LoadError)
    assert text == (
        "output 'output' is a torch.float32 tensor (torch.sparse_coo), which NumPy does not have; "
        "return a dense one of float32"
    )


def test_nan_is_refused_with_its_place(tmp_path: Path) -> None:
    text = refusal(tmp_path, Nan())
    assert text == (
        "PyTorch itself gives nan in output 'output' at batch=1 (index [0, 0]), so there is "
        "nothing to compare with; check the weights and the declared input values, or set "
        "outputs.output.nonfinite: allow if it is meant (masked logits)"
    )
    assert ReferenceRefused.exit_code == 4


def test_infinity_in_a_later_output_is_refused_with_its_place(tmp_path: Path) -> None:
    module = Does(lambda x: (x, x[:, 0].cumsum(0) / (x.shape[0] < 3), x.sum().isnan().half()))
    text = refusal(tmp_path, module)
    assert "inf in output 'output_1' at batch=3 (index [0])" in text


def test_nan_in_a_number_alone_is_refused(tmp_path: Path) -> None:
    assert "(index [])" in refusal(tmp_path, Does(lambda x: x.sum() * float("nan")))


def test_a_model_that_raises_within_its_declared_range_is_reported_where(tmp_path: Path) -> None:
    def narrow(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 5:
            raise ValueError("too\nmany rows")
        return x

    text = refusal(tmp_path, Does(narrow), LoadError)
    assert text == (
        "forward raised at batch=8, which the spec declares: ValueError: too many rows; narrow "
        "dims, or correct the inputs"
    )


def test_a_long_error_of_forward_is_cut() -> None:
    def fail(x: torch.Tensor) -> None:
        raise ValueError("word " * 1000)

    with pytest.raises(LoadError) as caught:
        run(source_of(Does(fail)), {"x": np.ones((1, 4), np.float32)}, {"batch": 1})
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: x[:, :1].squeeze(), "float32 of rank 1 at batch=3 and float32 of rank 0 at"),
        (lambda x: x.double() if len(x) > 2 else x, "float64 of rank 2 at batch=3 and float32 of"),
        (
            lambda x: {"output": x, "more": x} if len(x) > 2 else {"output": x},
            "'more' is float32 of rank 2 at batch=3 and missing at batch=1",
        ),
    ],
    ids=["rank", "dtype", "count"],
)
def test_outputs_of_another_kind_at_another_shape_are_refused(
    tmp_path: Path, function: Any, found: str
) -> None:
    text = refusal(tmp_path, Does(function))
    assert found in text
    assert "a squeeze() without dim drops a batch of 1" in text
