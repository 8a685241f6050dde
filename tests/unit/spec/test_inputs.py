from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from onnxproof.spec.inputs import InputSpec


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (
            "float32[batch, 3, 224, 224]",
            {"dtype": "float32", "shape": ("batch", 3, 224, 224), "values": "normal"},
        ),
        ("float32[batch] in 0..1", {"values": "uniform", "low": 0, "high": 1}),
        ("float32[batch] in -1.5..2.5e3", {"values": "uniform", "low": -1.5, "high": 2500}),
        ("int64[batch, seq] in 0..29999", {"values": "integers", "low": 0, "high": 29999}),
        ("int64[batch, seq] mask", {"values": "mask", "shape": ("batch", "seq")}),
        ("int64[batch] lengths in 1..80", {"values": "lengths", "low": 1, "high": 80}),
        ("bool[batch]", {"dtype": "bool", "values": "bool"}),
        ("float32[batch, 2*seq]", {"shape": ("batch", "2*seq")}),
        ("float32[]", {"shape": ()}),
        ("int in 3..5", {"dtype": "int", "shape": (), "values": "integers"}),
        ("float", {"dtype": "float", "values": "normal"}),
        ("  uint8[8]in 0..255 ", {"dtype": "uint8", "low": 0, "high": 255}),
    ],
)
def test_one_line_means_a_mapping(line: str, fields: dict[str, Any]) -> None:
    found = InputSpec.model_validate(line)
    assert {key: getattr(found, key) for key in fields} == fields


def test_the_mapping_says_more_than_the_line() -> None:
    found = InputSpec.model_validate({"dtype": "float32", "shape": ["batch", 4], "scale": 0.1})
    assert (found.values, found.scale) == ("normal", 0.1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("flaot32[batch]", "unknown dtype 'flaot32'; did you mean float32? Valid: float16,"),
        ("complex64[2]", "unknown dtype 'complex64'; "),
        ("float32[batch", "cannot read 'float32[batch'; write DTYPE[SHAPE]"),
        ("float32[batch] between 0..1", "cannot read "),
        ("int64[batch, seq]", "'int64[batch, seq] in LOW..HIGH' (for tokens: 0..vocabulary size"),
        ("int64[batch] lengths", "lengths values need a range"),
        ("float32[batch] in 2..1", "low 2 is above high 1"),
        ("int64[batch] mask", "a mask has the shape [rows, positions]"),
        ("float32[-1, 3]", "size -1 is negative; name a dim where the size varies"),
        ("float32[batch, seq / 2]", "'seq / 2' is no dimension"),
        ("int8[batch] in 0..300", "300 is no int8, which holds whole numbers from -128 to 127"),
        ("uint8[batch] in -1..3", "-1 is no uint8, which holds whole numbers from 0 to 255"),
        ("int64[batch] in 0.5..3", "0.5 is no int64, which holds whole numbers"),
        ("float[2]", "a Python float has no shape; write float32[...] for a tensor"),
    ],
)
def test_a_line_that_means_nothing_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        InputSpec.model_validate(line)
    assert message in str(caught.value)


def test_a_python_number_is_no_tensor_and_has_an_array_dtype() -> None:
    found = InputSpec.model_validate("int in 1..4")
    assert (found.is_tensor, found.array_dtype) == (False, "int64")


@pytest.mark.parametrize(
    ("line", "without"),
    [("int64[batch, 2*seq] in 0..9", "int64[batch, 2*seq]"), ("int in 0..9", "int")],
)
def test_the_line_is_found_back_without_its_range(line: str, without: str) -> None:
    assert InputSpec.model_validate(line).line_without_range() == without
