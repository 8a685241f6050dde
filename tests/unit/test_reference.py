from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from onnxproof import reference
from onnxproof.errors import LoadError, OnnxproofError, ReferenceRefused, SpecError
from onnxproof.grid import shape_grid
from onnxproof.inputs import draw
from onnxproof.records import Reference
from onnxproof.reference import ReferenceWriter, flatten, run
from tests.toys import Linear, Nan, Tokens
from tests.unit.builders import source_of, work_in

ONE, TWO = torch.ones(1), torch.full((1,), 2.0)
TOKENS: dict[str, Any] = {
    "inputs": {
        "input_ids": "int64[batch, 2*seq] in 0..49",
        "attention_mask": "int64[batch, 2*seq] mask",
    },
    "dims": {"batch": {"max": 8}, "seq": {"max": 4}},
}


class Does(nn.Module):
    """Runs a function of its one input, named ``x``."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


@dataclass
class Result:
    logits: torch.Tensor
    hidden: tuple[torch.Tensor, ...] | None = None


class ModelOutput(OrderedDict[str, Any]):
    """As transformers returns it: a mapping."""


def write(folder: Path, module: nn.Module, **sections: Any) -> Reference:
    return ReferenceWriter(source_of(module, **sections), work_in(folder)).write()


def refusal(
    folder: Path, module: nn.Module, error: type[OnnxproofError] = ReferenceRefused, **sections: Any
) -> str:
    with pytest.raises(error) as caught:
        write(folder, module, **sections)
    return str(caught.value)


def read(path: Path) -> np.ndarray:
    return numpy_helper.to_array(onnx.load_tensor(str(path)))


def test_every_point_of_the_grid_is_covered_with_the_samples_asked_for(tmp_path: Path) -> None:
    found = write(tmp_path, Tokens(), **TOKENS, check={"samples": 2})
    assert [point.outcome for point in found.points] == ["passed"] * len(found.points)
    assert {len(point.sets) for point in found.points} == {2}
    assert {point.reason for point in found.points} == {""}
    source = source_of(Tokens(), **TOKENS)
    assert [point.dims for point in found.points] == list(shape_grid(source.spec.dims))


def test_the_sets_are_what_pytorch_takes_and_gives_in_onnx_test_layout(tmp_path: Path) -> None:
    module = Tokens()
    source = source_of(module, **TOKENS, check={"samples": 2, "seed": 5})
    found = ReferenceWriter(source, work_in(tmp_path)).write()
    point = found.points[-1]
    feed = draw(source.spec.inputs, point.dims, 5, 1)
    folder = tmp_path / found.folder / point.sets[1]
    assert np.array_equal(read(folder / "input_0.pb"), feed["input_ids"])
    assert np.array_equal(read(folder / "input_1.pb"), feed["attention_mask"])
    expected = module(*(torch.from_numpy(each) for each in feed.values()))
    assert np.array_equal(read(folder / "output_1.pb"), expected["pooled"].detach().numpy())
    assert onnx.load_tensor(str(folder / "output_1.pb")).name == "pooled"


def test_sets_are_numbered_over_all_points(tmp_path: Path) -> None:
    found = write(tmp_path, Linear(), check={"samples": 2})
    names = [name for point in found.points for name in point.sets]
    assert names == [f"test_data_set_{number}" for number in range(len(names))]
    assert all((tmp_path / found.folder / name / "output_0.pb").is_file() for name in names)


def test_digest_and_size_are_those_of_the_sets(tmp_path: Path) -> None:
    module = Linear()
    first, second = (write(tmp_path / name, module) for name in ("a", "b"))
    assert first == second
    digest, size = hashlib.sha256(), 0
    for name in (name for point in first.points for name in point.sets):
        for file in ("input_0.pb", "output_0.pb"):
            path = tmp_path / "a" / first.folder / name / file
            digest.update(path.read_bytes())
            size += read(path).nbytes
    assert (first.digest, first.size_bytes) == (digest.hexdigest(), size)


def test_another_seed_gives_another_digest(tmp_path: Path) -> None:
    module = Linear()
    first = write(tmp_path / "a", module)
    assert write(tmp_path / "b", module, check={"seed": 1}).digest != first.digest


def test_inputs_and_outputs_are_told_in_terms_of_dims(tmp_path: Path) -> None:
    found = write(tmp_path, Tokens(), **TOKENS)
    told = [(each.name, each.dtype, each.shape) for each in (*found.inputs, *found.outputs)]
    assert told == [
        ("input_ids", "int64", ("batch", "2*seq")),
        ("attention_mask", "int64", ("batch", "2*seq")),
        ("hidden", "float32", ("batch", "2*seq", 8)),
        ("pooled", "float32", ("batch", 8)),
    ]


def test_a_size_without_a_name_is_told_as_unknown(tmp_path: Path) -> None:
    found = write(tmp_path, Does(lambda x: x.sum(1).expand(3, -1).reshape(-1)[::2]))
    assert found.outputs[0].shape == ("?",)


def test_static_sizes_are_numbers(tmp_path: Path) -> None:
    found = write(tmp_path, Linear(), export={"static": True})
    assert (found.inputs[0].shape, found.outputs[0].shape) == ((3, 4), (3, 3))
    assert len(found.points) == 1


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
def test_what_is_no_tensor_is_told_with_its_place(result: Any, place: str) -> None:
    with pytest.raises(LoadError) as caught:
        list(flatten(result))
    assert str(caught.value) == (
        f"forward returns {place}; an ONNX graph gives tensors only, so wrap the module in one "
        "that returns those"
    )


def test_the_spec_may_name_the_outputs(tmp_path: Path) -> None:
    found = write(tmp_path, Tokens(), **TOKENS, outputs={"states": {}, "embedding": {}})
    assert [each.name for each in found.outputs] == ["states", "embedding"]


def test_outputs_of_the_wrong_count_are_told_with_what_forward_gives(tmp_path: Path) -> None:
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
def test_a_name_stands_for_one_value_only(
    tmp_path: Path, function: Any, outputs: dict[str, Any], message: str
) -> None:
    assert message in refusal(tmp_path, Does(function), SpecError, outputs=outputs)


@pytest.mark.parametrize("result", [None, (), {}, {"past": None}], ids=str)
def test_a_model_that_gives_nothing_is_no_model(tmp_path: Path, result: Any) -> None:
    text = refusal(tmp_path, Does(lambda x: result), LoadError)
    assert text == "forward returns no tensor, so there is nothing to export; return one"


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: x.bfloat16(), "torch.bfloat16 tensor (torch.strided)"),
        (lambda x: x.to_sparse(), "torch.float32 tensor (torch.sparse_coo)"),
    ],
    ids=["bfloat16", "sparse"],
)
def test_an_output_that_numpy_does_not_have_is_told(
    tmp_path: Path, function: Any, kind: str
) -> None:
    text = refusal(tmp_path, Does(function), LoadError)
    assert text == (
        f"output 'output' is a {kind}, which NumPy does not have; return a dense one of float32"
    )


def test_nan_is_refused_with_its_place(tmp_path: Path) -> None:
    text = refusal(tmp_path, Nan())
    assert text == (
        "PyTorch itself gives nan in output 'output' at batch=1 (index [0, 0]), so there is "
        "nothing to compare with; check the weights and the declared input values"
    )
    assert ReferenceRefused.exit_code == 4


def test_infinity_in_a_later_output_is_refused_with_its_place(tmp_path: Path) -> None:
    module = Does(lambda x: (x, x[:, 0].cumsum(0) / (x.shape[0] < 3), x.sum().isnan().half()))
    text = refusal(tmp_path, module)
    assert "inf in output 'output_1' at batch=3 (index [0])" in text


def test_nan_in_a_number_alone_is_refused(tmp_path: Path) -> None:
    assert "(index [])" in refusal(tmp_path, Does(lambda x: x.sum() * float("nan")))


def test_a_model_that_raises_within_its_declared_range_is_told_where(tmp_path: Path) -> None:
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


def test_a_budget_of_seconds_shrinks_the_grid_and_says_so(tmp_path: Path) -> None:
    found = write(tmp_path, Linear(), check={"seconds": 1e-9, "samples": 3})
    first, *rest = found.points
    assert (first.outcome, first.sets) == ("passed", ("test_data_set_0",))
    assert first.reason == "check.seconds = 1e-09 was used up"
    assert rest
    assert all(point.outcome == "not_reached" and not point.sets for point in rest)
    assert {point.reason for point in rest} == {first.reason}


def test_a_budget_of_bytes_shrinks_the_grid_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MAX_BYTES", 2**20)
    module = Does(lambda x: x.repeat(1, 30_000))  # 0.46 MiB a row
    found = write(tmp_path, module, check={"samples": 4})
    assert [len(point.sets) for point in found.points] == [2] + [0] * (len(found.points) - 1)
    assert found.points[0].reason == (
        "a sample takes 0.5 MiB, and 0.1 of the 1 MiB of a proof are left"
    )
    assert found.size_bytes <= 2**20


def test_the_first_sample_is_taken_whatever_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MAX_BYTES", 1)
    found = write(tmp_path, Linear(), check={"samples": 4})
    assert [len(point.sets) for point in found.points] == [1] + [0] * (len(found.points) - 1)


def test_what_a_shrunken_grid_did_not_vary_is_not_told_as_fixed(tmp_path: Path) -> None:
    found = write(tmp_path, Linear(), check={"seconds": 1e-9})
    assert found.inputs[0].shape == ("batch", 4)
    assert found.outputs[0].shape == ("?", "?")
