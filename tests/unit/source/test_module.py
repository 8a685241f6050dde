from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onnxproof.errors import LoadError, OnnxproofError, SourceError
from onnxproof.source.module import build_module, bytes_of, state_digest
from tests.helpers.models import Linear
from tests.helpers.specs import source_of, spec_of, work_in


def build(folder: Path, factory: str = "linear", **sections: Any) -> Any:
    return build_module(spec_of(factory, **sections), work_in(folder))


def test_a_module_is_built_in_eval_mode(tmp_path: Path) -> None:
    assert not build(tmp_path).module.training


def test_a_module_without_a_checkpoint_has_the_same_weights_in_every_process(
    tmp_path: Path,
) -> None:
    first, second = (state_digest(build(tmp_path).module) for _ in range(2))
    assert first == second
    other = build(tmp_path, check={"seed": 1})
    assert state_digest(other.module) != first


def test_the_factory_gets_the_kwargs(tmp_path: Path) -> None:
    source = {"kwargs": {"channels": 2}}
    inputs = {"x": "float32[1, 2, 8, 8]"}
    assert build(tmp_path, "conv", source=source, inputs=inputs).module[0].in_channels == 2


def test_lazy_parameters_get_their_shape_the_same_way_each_time(tmp_path: Path) -> None:
    inputs = {"x": "float32[1, 3, 8, 8]"}
    first, second = (build(tmp_path, "conv", inputs=inputs).module for _ in range(2))
    assert first[3].in_features == 144
    assert state_digest(first) == state_digest(second)


def test_lazy_parameters_that_the_example_does_not_settle_are_reported(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"has lazy parameters, .*; call it once in the factory"):
        build(tmp_path, "conv", inputs={"x": "float32[1, 5, 8, 8]"})


@pytest.mark.parametrize(
    ("factory", "kwargs", "error", "message"),
    [
        (
            "raises",
            {},
            LoadError,
            (
                "factory tests.helpers.models:raises raised RuntimeError: the factory is out of "
                "order; correct"
            ),
        ),
        (
            "linear",
            {"width": 3},
            LoadError,
            "factory tests.helpers.models:linear raised TypeError: linear()",
        ),
        (
            "returns_text",
            {},
            LoadError,
            (
                "factory tests.helpers.models:returns_text returned str, not a torch.nn.Module; "
                "return the"
            ),
        ),
        ("liner", {}, SourceError, "did you mean linear?"),
    ],
)
def test_a_factory_that_gives_no_module_is_reported(
    tmp_path: Path,
    factory: str,
    kwargs: dict[str, Any],
    error: type[OnnxproofError],
    message: str,
) -> None:
    with pytest.raises(error) as caught:
        build(tmp_path, factory, source={"kwargs": kwargs})
    assert message in str(caught.value)


def test_forward_gets_tensors_of_its_own_and_plain_numbers() -> None:
    class Doubles(nn.Module):
        def forward(self, x: torch.Tensor, steps: int) -> torch.Tensor:
            assert type(steps) is int
            return x.mul_(steps)

    source = source_of(Doubles(), inputs={"x": "float32[2]", "steps": "int in 2..2"})
    feed = {"x": np.ones(2, np.float32), "steps": np.array(2)}
    assert source(feed).tolist() == [2, 2]
    assert feed["x"].tolist() == [1, 1]


@pytest.mark.parametrize("call", ["positional", "keyword"])
def test_arguments_go_as_the_spec_says(call: str) -> None:
    args, kwargs = source_of(Linear(), source={"call": call}).arguments(
        {"x": np.ones((1, 4), np.float32)}
    )
    assert (len(args), list(kwargs)) == ((1, []) if call == "positional" else (0, ["x"]))


def test_forward_runs_without_gradients() -> None:
    result = source_of(Linear())({"x": np.ones((1, 4), np.float32)})
    assert not result.requires_grad


def test_the_digest_of_a_state_dict_knows_names_dtypes_shapes_and_bytes() -> None:
    def digest(**buffers: torch.Tensor) -> str:
        module = nn.Module()
        for name, value in buffers.items():
            module.register_buffer(name, value)
        return state_digest(module)[0]

    ones = torch.ones(2, 3)
    variants = [
        digest(a=ones),
        digest(b=ones),
        digest(a=ones.reshape(3, 2)),
        digest(a=ones.double()),
        digest(a=ones.int()),
        digest(a=ones * 2),
        digest(a=ones, b=ones),
    ]
    assert len(set(variants)) == len(variants)
    assert digest(b=ones, a=ones) == digest(a=ones, b=ones)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.bool, torch.int64, torch.float16])
def test_tensors_of_any_dtype_have_bytes(dtype: torch.dtype) -> None:
    tensor = torch.ones(2, 3, dtype=dtype)
    assert len(bytes_of(tensor.t())) == 6 * dtype.itemsize
    assert len(bytes_of(tensor[0, 0])) == dtype.itemsize


def test_the_size_is_that_of_the_state_dict() -> None:
    assert state_digest(Linear())[1] == 15 * 4
