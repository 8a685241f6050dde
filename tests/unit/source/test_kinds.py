from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.check.stage import check_in_child
from onnxproof.errors import LoadError, OnnxproofError, SourceError
from onnxproof.proof.key import key_parts
from onnxproof.records import Loaded, Run
from onnxproof.source.kind import kind_of
from onnxproof.source.module import build_module
from onnxproof.spec import Spec, StrategyName, parse_spec
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROWS, work_in

# torch.jit is deprecated, and transformers and the exporters warn of what is meant here.
pytestmark = pytest.mark.filterwarnings("ignore")


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x).relu()
        return result


class Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "stolen.pt")
        return x


class Explodes:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('ran')",))


def spec_for(source: dict[str, Any], **sections: Any) -> Spec:
    return parse_spec({"name": "toy", "source": source, **(sections or ROWS)})


def key_for(source: dict[str, Any], root: Path, **sections: Any) -> str | None:
    return key_parts(spec_for(source, **sections), [root], [], local_code=False).key()


def message_of(source: dict[str, Any], root: Path, kind: type[OnnxproofError]) -> str:
    with pytest.raises(kind) as caught:
        build_module(spec_for(source), work_in(root / "work", root))
    return str(caught.value)


def proven(spec: Spec, root: Path, strategy: StrategyName) -> Loaded:
    """What loading gave, after one strategy's graph was exported and passed the whole check."""
    work = work_in(root / "work", root)
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    result = check_in_child(Run(spec, work, loaded), candidate)
    assert result.proven, result.reason
    return loaded


def save_program(path: Path, module: nn.Module | None = None, most: int = 64) -> Path:
    batch = torch.export.Dim("batch", max=most)
    module = module or Small().eval()
    program = torch.export.export(module, (torch.randn(3, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


def rewrite(path: Path, changed: dict[str, bytes]) -> None:
    """The archive with some files in it replaced, found by how their names end."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            new = next((content for end, content in changed.items() if name.endswith(end)), data)
            archive.writestr(name, new)


@pytest.mark.parametrize("made", ["script", "trace"])
def test_a_torchscript_file_is_proven_as_it_is(tmp_path: Path, made: str) -> None:
    module = Small().eval()
    one = (
        torch.jit.script(module) if made == "script" else torch.jit.trace(module, torch.ones(2, 4))
    )
    one.save(tmp_path / "model.pt")
    loaded = proven(spec_for({"torchscript": "model.pt"}), tmp_path, "trace")
    assert loaded.call == "keyword"
    assert loaded.parameters == 15


def test_every_parameter_of_a_torchscript_file_is_an_input(tmp_path: Path) -> None:
    class Scaled(Small):
        def forward(self, x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:
            result: torch.Tensor = self.layer(x) * scale
            return result

    torch.jit.script(Scaled().eval()).save(tmp_path / "model.pt")
    with pytest.raises(OnnxproofError, match="missing a required argument: 'scale'"):
        build_module(spec_for({"torchscript": "model.pt"}), work_in(tmp_path, tmp_path))


def test_torchscript_that_reaches_for_files_is_opened_only_with_trust(tmp_path: Path) -> None:
    torch.jit.script(Writes()).save(tmp_path / "model.pt")
    text = message_of({"torchscript": "model.pt"}, tmp_path, SourceError)
    assert text.startswith("model.pt calls save, which reads or writes files by name")
    assert "source.trust: pickle" in text
    trusted = spec_for({"torchscript": "model.pt", "trust": "pickle"})
    build_module(trusted, work_in(tmp_path / "work", tmp_path))


def test_torchscript_with_operators_of_others_says_whose(tmp_path: Path) -> None:
    torch.jit.script(Small()).save(tmp_path / "model.pt")
    code = b"def forward(self, x: Tensor) -> Tensor:\n  return ops.theirs.act(x)\n"
    rewrite(tmp_path / "model.pt", {"code/__torch__/tests/unit/source/test_kinds.py": code})
    text = message_of({"torchscript": "model.pt"}, tmp_path, SourceError)
    assert "calls operators of theirs, which is no part of PyTorch's own" in text


def test_an_exported_program_is_proven_over_the_sizes_it_was_exported_for(tmp_path: Path) -> None:
    save_program(tmp_path / "model.pt2")
    for strategy in ("dynamo", "trace"):
        spec = spec_for({"exported_program": "model.pt2"})
        proven(spec, tmp_path, strategy)
        shutil.rmtree(tmp_path / "work")
    wider = {**ROWS, "dims": {"batch": {"max": 80}}, "check": {"samples": 1}}
    with pytest.raises(LoadError, match=r"batch=80.*Guard failed: x\.size\(\)\[0\] <= 64; narrow"):
        load(
            spec_for({"exported_program": "model.pt2"}, **wider), work_in(tmp_path / "w", tmp_path)
        )


def test_a_pickle_in_an_exported_program_is_not_run(tmp_path: Path) -> None:
    path = save_program(tmp_path / "model.pt2")
    torch.save(Explodes(), tmp_path / "payload.pt")
    rewrite(path, {"data/sample_inputs/model.pt": (tmp_path / "payload.pt").read_bytes()})
    text = message_of({"exported_program": "model.pt2"}, tmp_path, SourceError)
    assert "model.pt2 holds more than tensors (exec) and would run code; it was not opened" in text


def test_an_object_in_an_exported_program_is_not_opened(tmp_path: Path) -> None:
    path = save_program(tmp_path / "model.pt2")
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    config = json.dumps({"config": {"thing": {**entry, "tensor_meta": None}}}).encode()
    rewrite(path, {"model_constants_config.json": config})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/constants/opaque_obj_0", pickle.dumps(Explodes()))
    text = message_of({"exported_program": "model.pt2"}, tmp_path, SourceError)
    assert "(the object thing)" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"torchscript": "none.pt"}, "no file none.pt below"),
        ({"torchscript": "../model.pt"}, "../model.pt leaves"),
        ({"torchscript": "state.pt"}, "state.pt is an archive without TorchScript code"),
        ({"torchscript": "model.pt2"}, "an exported program; name it source.exported_program"),
        ({"torchscript": "text.pt"}, "text.pt is no TorchScript archive"),
        ({"exported_program": "script.pt"}, "no exported program; name it source.torchscript"),
        ({"exported_program": "text.pt"}, "write one with torch.export.save"),
        ({"transformers": "none"}, "no folder none below"),
        ({"transformers": "empty"}, "the folder empty has no config.json"),
        ({"transformers": "pickled"}, "has its weights in pytorch_model.bin, a pickle"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_to_do(
    tmp_path: Path, source: dict[str, Any], message: str
) -> None:
    torch.save(Small().state_dict(), tmp_path / "state.pt")
    torch.jit.script(Small()).save(tmp_path / "script.pt")
    (tmp_path / "model.pt2").write_bytes((tmp_path / "state.pt").read_bytes())
    (tmp_path / "text.pt").write_text("weights are elsewhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"")
    assert message in message_of(source, tmp_path, SourceError)


@pytest.mark.parametrize("kind", ["torchscript", "exported_program"])
def test_the_bytes_of_the_file_are_in_the_key(tmp_path: Path, kind: str) -> None:
    (tmp_path / "model").write_bytes(b"one")
    before = key_for({kind: "model"}, tmp_path)
    (tmp_path / "model").write_bytes(b"two")
    assert key_for({kind: "model"}, tmp_path) not in (None, before)


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_named_model_is_proven_or_the_extra_is_named(tmp_path: Path, package: str) -> None:
    pytest.importorskip(package, exc_type=ImportError)
    image = {
        "inputs": {"x": "float32[batch, 3, 64, 64]"},
        "dims": {"batch": {"max": 2}},
        "check": {"samples": 1},
    }
    proven(spec_for({package: "resnet18"}, **image), tmp_path, "trace")
    text = message_of({package: "resnet81"}, tmp_path, SourceError)
    assert f"{package} has no model 'resnet81'; did you mean resnet" in text


@pytest.mark.parametrize("package", ["timm", "torchvision", "transformers"])
def test_a_package_that_is_not_there_is_named_with_its_extra(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind_of(package)  # imports its module, which is there
    monkeypatch.setattr("sys.meta_path", [])  # nothing that is not imported yet can be found
    monkeypatch.delitem(__import__("sys").modules, package, raising=False)
    with pytest.raises(SourceError, match=rf"pip install 'onnxproof\[{package}\]'"):
        key_for({package: "config.json"}, tmp_path)


def test_a_named_model_downloads_nothing(tmp_path: Path) -> None:
    source = {"timm": "resnet18", "kwargs": {"pretrained": True}}
    text = message_of(source, tmp_path, SourceError)
    assert "asks timm for pretrained, which downloads" in text
