from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import SpecError
from onnxproof.spec import Spec, override, parse_spec, read_spec

ROOT = Path(__file__).parents[3]
CATALOG = sorted((ROOT / "deployments" / "catalog").glob("*.yaml"))


def data(**changes: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "source": {"factory": "tests.helpers.models:linear"},
        "inputs": {"x": "float32[batch, 4]"},
        "dims": {"batch": {"min": 1, "max": 8}},
        **changes,
    }


def message_of(**changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        parse_spec(data(**changes), "toy.yaml")
    return str(caught.value)


def test_a_small_spec_is_enough() -> None:
    spec = parse_spec(data())
    assert spec.export.strategies == ("dynamo", "trace", "script")
    assert spec.promote == "auto"


def test_a_spec_comes_back_from_its_json() -> None:
    spec = parse_spec(data(outputs={"y": {}}, gates={"max_metric_drop": 0.1}))
    assert Spec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("path", CATALOG, ids=lambda path: path.stem)
def test_every_catalog_entry_is_valid_and_named_after_its_file(path: Path) -> None:
    assert read_spec(path).name == path.stem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": 1}, "color: unknown key; valid here: benchmark, check, dataset, dims, export"),
        (
            {"source": {"factory": "a:b", "weight": "x"}},
            "source.weight: unknown key; valid here: call, class, exported_program, factory",
        ),
        (
            {"dims": {"batch": {"max": 8, "maximum": 9}}},
            "dims.batch.maximum: unknown key; valid here: example, max, min, multiple_of",
        ),
        (
            {"benchmark": {"providers": [{"nam": "x"}]}},
            "benchmark.providers.0.nam: unknown key; valid here: library, name, options, required",
        ),
        ({"check": {"samples": "many"}}, "check.samples: "),
        ({"check": {"samples": "many"}}, "found 'many'"),
        ({"name": "a/b"}, "found 'a/b'"),
        ({"source": {"factory": "no colon"}}, "source.factory: "),
        ({"source": {}}, "source: name exactly one of factory, torchscript, exported_program, "),
        ({"source": {"timm": "a", "torchscript": "b"}}, "found torchscript and timm"),
        ({"source": {"factory": "a:b", "class": "Net"}}, "class belongs to transformers"),
        (
            {"source": {"torchscript": "a", "weights": {"path": "w"}}},
            "torchscript is a whole model",
        ),
        ({"source": {"mlflow": "models:/digits"}}, "source.mlflow: "),
        ({"source": {"mlflow": "models:/toy@champion"}}, "name toy is the name of its source"),
        ({"inputs": {}}, "inputs: "),
        ({"inputs": {"x": "flaot32[batch]"}}, "inputs.x: unknown dtype 'flaot32'; did you mean"),
        ({"dims": {"batch": {"min": 9, "max": 2}}}, "dims.batch: min 9 is above max 2; swap them"),
        (
            {"dims": {}},
            "not declared; add e.g. `dims: {batch: {min: 1, max: 64}}`",
        ),
        (
            {"dims": {"batch": {"max": 8}, "seq": {"max": 4}}},
            "dims seq stand in no input's shape; remove them or use them",
        ),
        ({"benchmark": {"at": [{"batch": 9}]}}, "benchmark.at batch=9 lies outside"),
        ({"benchmark": {"at": [{"bach": 1}]}}, "benchmark.at bach=1 lies outside"),
        (
            {"dataset": {"path": "d.npz", "inputs": {"z": "x"}, "labels": "y"}},
            "dataset.inputs names z, which the spec has no input for",
        ),
        ({"source": {"factory": "a:b", "weights": {"path": "w", "sha256": "abc"}}}, "sha256"),
        ({"export": {"opset": 12}}, "export.opset"),
        ({"export": {"strategies": ["jit"]}}, "export.strategies.0"),
        ({"limits": {"seconds": 0}}, "limits.seconds"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_valid(
    changes: dict[str, Any], message: str
) -> None:
    assert message in message_of(**changes)


def test_the_file_is_named_first_and_all_faults_are_reported_at_once() -> None:
    text = message_of(color=1, check={"samples": 0})
    assert text.startswith("toy.yaml is not valid. ")
    assert "color: " in text
    assert "check.samples: " in text


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_mapping_is_no_spec(value: object) -> None:
    with pytest.raises(SpecError, match="a spec is a mapping with name, source and inputs"):
        parse_spec(value, "toy.yaml")


def test_a_missing_file_is_reported_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read the spec .*none.yaml: No such file"):
        read_spec(tmp_path / "none.yaml")


@pytest.mark.parametrize("content", [b"name: [", b"\xff\xfe\x00bad", b"a: b: c"])
def test_a_file_that_is_no_yaml_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(SpecError, match=r"bad.yaml is not YAML: "):
        read_spec(tmp_path / "bad.yaml")


def test_yaml_cannot_build_python_objects(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: !!python/object/apply:os.system ['touch marker']")
    with pytest.raises(SpecError, match="is not YAML"):
        read_spec(tmp_path / "bad.yaml")


def test_an_override_replaces_or_adds_a_value() -> None:
    before = data()
    after = override(before, ["dims.batch.max=4", "check.samples=2", "inputs.x='float32[batch]'"])
    spec = parse_spec(after)
    assert (spec.dims["batch"].max, spec.check.samples) == (4, 2)
    assert spec.inputs["x"].shape == ("batch",)
    assert before == data()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dims.batch.max", "cannot read the override 'dims.batch.max'; write a.b=value"),
        ("=4", "write a.b=value"),
        ("name.first=x", "name is not a mapping in this spec"),
        ("name.first.second=x", "name.first is not a mapping in this spec"),
        ("check.samples=[", "'[' is not YAML"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(line: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        override(data(), [line])
    assert message in str(caught.value)


def test_a_spec_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_spec(data()).name = "other"  # type: ignore[misc]
