from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import ExportError, SpecError
from onnxproof.records import Work
from onnxproof.spec import parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import spec_of, work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path, tmp_path)


def varied(**kwargs: Any) -> Any:
    return spec_of("scaled", source={"variants": {"other": kwargs}})


def test_a_variant_is_exported_under_its_own_name_beside_the_declared_source(work: Work) -> None:
    spec = varied(by_matmul=True)
    loaded = load(spec, work)
    declared, other = (export(spec, work, loaded, "trace", name) for name in ("", "other"))
    assert (declared.label, other.label, other.variant) == ("trace", "trace@other", "other")
    assert declared.model.unchanged(work.folder)
    assert declared.model.sha256 != other.model.sha256


@pytest.mark.parametrize(
    ("kwargs", "found"),
    [
        ({"seed": 1}, "layer.bias has other values"),
        ({"width": 5}, r"layer.bias is torch.float32 \[5\], there torch.float32 \[3\]"),
        ({"extra": True}, "extra is in it only"),
    ],
    ids=["values", "shape", "key"],
)
def test_a_variant_with_other_weights_is_refused_with_the_first_difference(
    work: Work, kwargs: dict[str, Any], found: str
) -> None:
    spec = varied(**kwargs)
    with pytest.raises(ExportError, match=f"^variant 'other' has another state dict .*: {found}. "):
        export(spec, work, load(spec, work), "trace", "other")


def test_a_variants_kwargs_add_to_those_of_the_source_and_replace_them() -> None:
    spec = spec_of("scaled", source={"kwargs": {"a": 1, "b": 2}, "variants": {"v": {"b": 3}}})
    assert spec.source.variant("v").kwargs == {"a": 1, "b": 3}
    assert spec.source.variant("").kwargs == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "source",
    [
        {"factory": "tests.helpers.models:linear", "variants": {"a/b": {}}},
        {"torchscript": "model.pt", "variants": {"eager": {}}},
    ],
    ids=["a name that is no file name", "a source without arguments"],
)
def test_variants_that_cannot_be_made_are_refused_with_the_spec(source: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="variants"):
        parse_spec(
            {
                "name": "toy",
                "source": source,
                "inputs": {"x": "float32[batch, 4]"},
                "dims": {"batch": {"max": 8}},
            }
        )
