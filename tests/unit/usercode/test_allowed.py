from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxproof.errors import LoadError, SourceError
from onnxproof.usercode.allowed import find_file, import_factory, locate_module

MARKER = "Path(__file__).with_suffix('.ran').write_text('ran')"


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a local module, a package, and a broken module; each notes that it ran."""
    head = f"from pathlib import Path\n{MARKER}\n"
    (tmp_path / "mymodel.py").write_text(
        head + "import os\nfrom os import system\nfrom functools import partial\nsize = 3\n"
        "def build(): return 'built'\nready = partial(build)\n"
        "class Net:\n    @staticmethod\n    def small(): return 'small'\n"
    )
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text(head)
    (tmp_path / "mypackage" / "nets.py").write_text(
        head + "from mypackage import parts\ndef build(): return parts.NAME\n"
    )
    (tmp_path / "mypackage" / "parts.py").write_text("NAME = 'parts'\n")
    (tmp_path / "broken.py").write_text("import no_such_dependency\n")
    return tmp_path


def refusal(
    reference: str, root: Path, *, allow: tuple[str, ...] = (), local_code: bool = True
) -> str:
    with pytest.raises(SourceError) as caught:
        import_factory(reference, [root], allow, local_code=local_code)
    return str(caught.value)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("mymodel:build", "built"),
        ("mymodel:ready", "built"),
        ("mymodel:Net.small", "small"),
        ("mypackage.nets:build", "parts"),
    ],
)
def test_local_code_is_found_below_a_root(root: Path, reference: str, answer: str) -> None:
    assert import_factory(reference, [root], [], local_code=True)() == answer


def test_an_allowed_package_may_lie_below_a_root_of_a_deployment(root: Path) -> None:
    factory = import_factory("mypackage.nets:build", [root], ["mypackage"], local_code=False)
    assert factory() == "parts"


def test_an_allowed_package_may_be_installed(tmp_path: Path) -> None:
    import json

    assert import_factory("json:loads", [tmp_path], ["json"], local_code=False) is json.loads


def test_the_first_root_wins(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "mymodel.py").write_text("def build(): return 'other'\n")
    assert import_factory("mymodel:build", [other, root], [], local_code=True)() == "other"


@pytest.mark.parametrize("reference", ["os:system", "numpy:load", "torch.hub:load", "nowhere:x"])
def test_code_that_nobody_allowed_is_refused_with_the_way_to_allow_it(
    root: Path, reference: str
) -> None:
    top = reference.partition(":")[0].partition(".")[0]
    text = refusal(reference, root, allow=("timm",))
    assert f"package {top} is not allowed (allowed: timm)" in text
    assert "set ONNXPROOF_ALLOW=PACKAGE or pass --allow PACKAGE" in text


def test_local_code_is_refused_where_only_the_list_counts(root: Path) -> None:
    text = refusal("mymodel:build", root, local_code=False)
    assert "package mymodel is not allowed (allowed: none)" in text


@pytest.mark.parametrize(
    "reference", ["mymodel:build", "mypackage.nets:build", "mypackage.nest:build"]
)
def test_nothing_runs_before_it_is_allowed(root: Path, reference: str) -> None:
    refusal(reference, root, local_code=False)
    with pytest.raises(SourceError):
        locate_module("mypackage.nest", [root], [], local_code=True)
    locate_module("mypackage.nets", [root], [], local_code=True)
    assert list(root.rglob("*.ran")) == []


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("mypackage.nest:build", "there is no module mypackage.nest; did you mean nets?"),
        ("mypackage.nets:biuld", "there is no 'biuld' to call; did you mean build?"),
        ("mypackag.nets:build", "did you mean mypackage?"),
        ("mymodel:zzz", "it has Net, Path, build"),
        ("mymodel:size", "mymodel:size is int, not callable; name a function that returns"),
        ("mymodel:", "'mymodel:' names no factory; write module:callable"),
        ("mymodel", "'mymodel' names no factory; write module:callable"),
        ("a..b:c", "package a is not allowed"),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_is_near(
    root: Path, reference: str, hint: str
) -> None:
    assert hint in refusal(reference, root)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("mymodel:os.system", "goes into another module; name that one, and allow it"),
        ("mymodel:system", "is a part of Python, not a factory"),
        ("mymodel:build.__globals__.get", "there is no '__globals__' to call"),
    ],
)
def test_an_allowed_module_is_no_way_to_others(root: Path, reference: str, reason: str) -> None:
    assert reason in refusal(reference, root)


def test_a_module_that_raises_is_an_error_of_the_load_stage(root: Path) -> None:
    with pytest.raises(LoadError, match=r"importing broken for broken:build raised Module") as got:
        import_factory("broken:build", [root], [], local_code=True)
    assert "no_such_dependency" in str(got.value)


def test_a_local_name_that_python_has_already_is_reported(root: Path) -> None:
    (root / "json.py").write_text("def build(): return 1\n")
    text = refusal("json:build", root)
    assert f"json should be {root / 'json.py'}, and Python already has" in text
    assert "rename your module" in text


def test_code_behind_a_link_out_of_the_root_is_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "far.py"
    outside.write_text("def build(): return 1\n")
    (root / "far.py").symlink_to(outside)
    assert "is a symbolic link that leaves it" in refusal("far:build", root)


def test_a_file_is_found_below_the_first_root_that_has_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "w.safetensors").touch()
    assert find_file("w.safetensors", [tmp_path / "a", tmp_path / "b"]) == (
        tmp_path / "b" / "w.safetensors"
    )
    (tmp_path / "a" / "w.safetensors").touch()
    assert find_file("w.safetensors", [tmp_path / "a", tmp_path / "b"]).parent.name == "a"


def test_an_absolute_path_below_a_root_is_fine(tmp_path: Path) -> None:
    (tmp_path / "x.pt").touch()
    assert find_file(str(tmp_path / "x.pt"), [tmp_path]) == tmp_path / "x.pt"


def test_a_link_within_the_root_keeps_its_own_suffix(tmp_path: Path) -> None:
    (tmp_path / "blob").touch()
    (tmp_path / "x.safetensors").symlink_to(tmp_path / "blob")
    assert find_file("x.safetensors", [tmp_path]).suffix == ".safetensors"


@pytest.mark.parametrize("kind", ["up", "absolute", "link", "linked folder"])
def test_a_file_outside_of_the_roots_is_never_found(tmp_path: Path, kind: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").touch()
    (root / "link").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    path = {
        "up": "../outside/secret",
        "absolute": str(outside / "secret"),
        "link": "link",
        "linked folder": "folder/secret",
    }[kind]
    with pytest.raises(SourceError, match="copy the file there, links do not count"):
        find_file(path, [root])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("weight.pt", "no file weight.pt below {root}; did you mean weights.pt?"),
        ("zzz", "no file zzz below {root}; make it, or correct the path"),
        ("deep/zzz", "no file deep/zzz below {root}; make it, or correct the path"),
    ],
)
def test_a_missing_file_is_reported_with_what_is_near(
    tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "weights.pt").touch()
    with pytest.raises(SourceError) as caught:
        find_file(path, [tmp_path])
    assert str(caught.value) == message.format(root=tmp_path)
