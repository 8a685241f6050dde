from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import SourceError
from onnxproof.proof import key, versions
from onnxproof.proof.key import key_parts
from onnxproof.proof.versions import flow_version, toolchain_versions
from onnxproof.spec import read_spec
from onnxproof.usercode.import_following import reached_code

ROOT = Path(__file__).parents[3]
SPEC = """
name: toy
source:
  factory: mynets.small:build
  kwargs: {width: 4}
  weights: {path: weights.safetensors}
inputs: {x: "float32[batch, 4]", z: "float32[batch, 4]"}
dims: {batch: {max: 8}}
dataset: {path: rows.npz, inputs: {x: x}, labels: y}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    package = tmp_path / "mynets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "small.py").write_text(
        "import torch\nfrom mynets import layers\nfrom .deep.blocks import Block\n"
        "def build(width):\n    from mynets.late import thing\n    return thing\n"
    )
    (package / "layers.py").write_text("import numpy as np\nimport os.path\n")
    (package / "late.py").write_text("thing = 1\n")
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("from ..shared import *\n")
    (package / "deep" / "blocks.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mynets import typing_only\n"
        "class Block: pass\n"
    )
    (package / "shared.py").write_text("")
    (package / "typing_only.py").write_text("")
    (package / "unreached.py").write_text("")
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "rows.npz").write_bytes(b"rows")
    (tmp_path / "toy.yaml").write_text(SPEC)
    return tmp_path


def key_of(root: Path, *overrides: str, **arguments: Any) -> str | None:
    spec = read_spec(root / "toy.yaml", overrides)
    return key_parts(spec, [root], [], local_code=True, **arguments).key()


def test_the_same_things_have_the_same_key(root: Path, tmp_path_factory: Any) -> None:
    found = key_of(root)
    assert found is not None
    assert len(found) == 64
    moved = tmp_path_factory.mktemp("moved") / "root"
    shutil.copytree(root, moved)
    assert key_of(moved) == found


@pytest.mark.parametrize(
    "override",
    ["promote=never", "gates.max_metric_drop=0.5", "limits.seconds=60"],
)
def test_what_decides_after_the_proof_is_not_in_the_key(root: Path, override: str) -> None:
    assert key_of(root, override) == key_of(root)


def test_a_comment_in_the_spec_is_not_in_the_key(root: Path) -> None:
    before = key_of(root)
    (root / "toy.yaml").write_text(f"# a comment\n{SPEC}\n\n")
    assert key_of(root) == before


@pytest.mark.parametrize("file", ["mynets/unreached.py", "mynets/typing_only.py", "toy.txt"])
def test_a_file_that_is_not_reached_is_not_in_the_key(root: Path, file: str) -> None:
    before = key_of(root)
    (root / file).write_text("changed = True\n")
    assert key_of(root) == before


@pytest.mark.parametrize(
    "override",
    [
        "source.kwargs={width: 5}",
        "check.seed=1",
        "dims.batch.max=9",
        "name=other",
        "export.strategies=[trace]",
        "benchmark.threads=2",
    ],
)
def test_every_other_word_of_the_spec_is_in_the_key(root: Path, override: str) -> None:
    assert key_of(root, override) != key_of(root)


def test_the_order_of_inputs_is_in_the_key(root: Path) -> None:
    before = key_of(root)
    turned = SPEC.replace('x: "float32[batch, 4]", z:', 'z: "float32[batch, 4]", x:')
    (root / "toy.yaml").write_text(turned)
    assert key_of(root) != before


@pytest.mark.parametrize(
    "file",
    [
        "weights.safetensors",
        "rows.npz",
        "mynets/__init__.py",
        "mynets/small.py",
        "mynets/layers.py",
        "mynets/late.py",
        "mynets/deep/__init__.py",
        "mynets/deep/blocks.py",
        "mynets/shared.py",
    ],
)
def test_every_file_that_is_reached_is_in_the_key(root: Path, file: str) -> None:
    before = key_of(root)
    with (root / file).open("ab") as handle:
        handle.write(b"# one more byte\n")
    assert key_of(root) != before


def test_a_version_of_the_toolchain_is_in_the_key(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_of(root)
    newer = {**toolchain_versions(), "onnxruntime": "99.0"}
    monkeypatch.setattr(key, "toolchain_versions", lambda: newer)
    assert key_of(root) != before


def test_versions_of_what_the_code_imports_are_in_the_key(root: Path) -> None:
    files, distributions, _ = reached_code("mynets.small", [root], [], local_code=True)
    assert sorted(distributions) == ["numpy", "torch"]
    assert "mynets.unreached" not in files
    assert files.keys() >= {"mynets", "mynets.small", "mynets.late", "mynets.deep.blocks"}


@pytest.mark.parametrize("module", ["sklearn", "yaml", "six", "google", "mlflow", "nothing_here"])
def test_every_distribution_that_installed_a_module_is_found(root: Path, module: str) -> None:
    (root / "mynets" / "late.py").write_text(f"import {module}\n")
    _, distributions, _ = reached_code("mynets.late", [root], [], local_code=True)
    owners = set(metadata.packages_distributions().get(module, ()))
    assert distributions.keys() - {"numpy", "torch"} == owners
    assert all(distributions[name] == metadata.version(name) for name in owners)


def test_a_deployment_and_the_command_line_agree_on_the_key(root: Path) -> None:
    spec = read_spec(root / "toy.yaml")
    assert key_parts(spec, [root], ["mynets"], local_code=False).key() == key_of(root)


def test_code_that_does_not_parse_still_has_a_key(root: Path) -> None:
    (root / "mynets" / "late.py").write_text("def (:\n")
    assert key_of(root) is not None


def test_without_a_weights_file_the_key_waits_for_the_state_dict(root: Path) -> None:
    without = "source.weights=null"
    assert key_of(root, without) is None
    first = key_of(root, without, weights_sha256="a" * 64)
    assert first is not None
    assert key_of(root, without, weights_sha256="b" * 64) != first


def test_with_a_weights_file_the_key_is_the_same_before_and_after_the_load(root: Path) -> None:
    assert key_of(root, weights_sha256="a" * 64) == key_of(root)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source.weights.path=weight.safetensors", "did you mean weights.safetensors?"),
        ("dataset.path=nothing.npz", "no file nothing.npz"),
        ("source.factory=os:system", "package os is not allowed"),
        ("source.factory=mynets.smal:build", "did you mean small?"),
    ],
)
def test_bad_input_is_reported_before_anything_is_loaded(
    root: Path, override: str, message: str
) -> None:
    with pytest.raises(SourceError) as caught:
        key_of(root, override)
    assert message in str(caught.value)


def test_the_toolchain_names_one_onnx_runtime_and_only_what_is_installed() -> None:
    found = toolchain_versions()
    assert {"onnxproof", "torch", "onnx", "onnxsim", "onnxscript", "numpy"} <= found.keys()
    assert len({"onnxruntime", "onnxruntime-gpu"} & found.keys()) == 1


def test_the_flow_version_is_the_commit_of_the_checkout() -> None:
    answer = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        pytest.skip("the tests do not run from a git checkout")
    expected = f"{versions.package_version()}+g{answer.stdout.strip()}"
    assert flow_version().removesuffix(".dirty") == expected


@pytest.mark.parametrize(
    ("sha", "version"), [("1a2b3c4d5e6f", "+g1a2b3c4"), ("", "")], ids=["image", "wheel"]
)
def test_without_a_checkout_the_flow_version_takes_the_commit_of_the_image(
    monkeypatch: pytest.MonkeyPatch, sha: str, version: str
) -> None:
    monkeypatch.setattr(versions, "_checkout_commit", lambda: "")
    monkeypatch.setenv("ONNXPROOF_GIT_SHA", sha)
    assert flow_version.__wrapped__() == versions.package_version() + version


def test_the_key_needs_no_torch() -> None:
    code = (
        "import sys\nfrom onnxproof.proof.key import key_parts\n"
        "from onnxproof.proof.versions import flow_version, toolchain_versions\n"
        "from onnxproof.spec import parse_spec\n"
        "spec = parse_spec({'name': 'toy', 'source': {'factory': 'tests.helpers.models:linear'}, "
        "'inputs': {'x': 'float32[4]'}})\n"
        "assert key_parts(spec, ['.'], [], local_code=True, weights_sha256='0' * 64).key()\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'mlflow', 'prefect'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("entry", ["needs=[translating:f]", 'translations={"a::b": translating:f}'])
def test_the_code_of_translations_and_of_what_they_need_is_in_the_key(
    root: Path, entry: str
) -> None:
    (root / "translating.py").write_text("def f(): ...\n")
    before = key_of(root, f"export.{entry}")
    (root / "translating.py").write_text("def f(): return 1\n")
    assert key_of(root, f"export.{entry}") not in {before, key_of(root)}
