"""A kind of source is a field of the spec and the module of the field's name."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from onnxproof import source as package
from onnxproof.source import build
from onnxproof.source.digest import fingerprint
from onnxproof.source.kind import SourceKind, file_digest, kind_of
from onnxproof.spec import Source
from onnxproof.spec.source import KINDS, KindMark
from tests.helpers.specs import ROOT, work_in


def test_the_fields_of_the_spec_and_the_modules_are_the_same_kinds() -> None:
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = {name: importlib.import_module(f"{package.__name__}.{name}") for name in names}
    assert {name for name in modules if hasattr(modules[name], "KIND")} == set(KINDS)
    assert all(isinstance(kind_of(name), SourceKind) for name in KINDS)


def test_the_package_of_a_kind_is_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = {package for name in KINDS if (package := kind_of(name).package) is not None}
    assert packages <= set(project["optional-dependencies"])


def test_a_factory_names_a_module_of_the_user_and_a_file_none() -> None:
    assert kind_of("factory").python_module("nets.small:build") == "nets.small"
    assert kind_of("torchscript").python_module("nets/small.pt") is None


@pytest.mark.parametrize("name", ["factory", "timm", "torchvision", "transformers"])
def test_a_checkpoint_tells_the_weights_of_a_kind_that_takes_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "w.pt").write_bytes(b"one")
    values: dict[str, Any] = {name: "config.json" if name == "transformers" else "a:b"}
    assert fingerprint(Source(**values), [tmp_path]) is None
    source = Source(**values, weights={"path": "w.pt"})
    before = fingerprint(source, [tmp_path])
    (tmp_path / "w.pt").write_bytes(b"two")
    assert fingerprint(source, [tmp_path]) not in (None, before)


@pytest.mark.parametrize("name", ["torchscript", "exported_program"])
def test_the_file_tells_the_weights_of_a_kind_that_is_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "net").write_bytes(b"one")
    values: dict[str, Any] = {name: "net"}
    assert fingerprint(Source(**values), [tmp_path]) == hashlib.sha256(b"one").hexdigest()


def test_nothing_here_tells_the_weights_of_a_model_of_mlflow(tmp_path: Path) -> None:
    assert fingerprint(Source(mlflow="models:/digits/1"), [tmp_path]) is None


def test_a_module_and_a_field_are_all_that_a_new_kind_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithOneMore(Source):
        made_up: Annotated[str | None, KindMark(whole=True)] = None

    class MadeUp(ModuleType):
        KIND = SourceKind(
            build=lambda _source, _work: nn.Linear(4, 3),
            default_name=str.lower,
            digest=file_digest,
        )

    name = f"{package.__name__}.made_up"
    monkeypatch.setitem(sys.modules, name, MadeUp(name))
    (tmp_path / "net.txt").write_text("4 3")
    source = WithOneMore(made_up="net.txt")
    module = build(source, work_in(tmp_path, tmp_path))
    assert module(torch.ones(1, 4)).shape == (1, 3)
    assert fingerprint(source, [tmp_path]) == hashlib.sha256(b"4 3").hexdigest()
    assert kind_of(source.kind).default_name("Net.txt") == "net.txt"
    with pytest.raises(ValidationError, match="made_up is a whole model and takes no kwargs"):
        WithOneMore(made_up="net.txt", kwargs={"width": 5})
    with pytest.raises(ValidationError, match=r"name exactly one of factory, .*, made_up; found"):
        WithOneMore(made_up="net.txt", timm="resnet18")
