from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from onnxproof.errors import SourceError
from onnxproof.source.checkpoint import load_weights
from onnxproof.source.module import build_module, state_digest
from onnxproof.spec import Weights
from tests.helpers.models import Linear
from tests.helpers.specs import spec_of, work_in


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight


class Viewed(nn.Module):
    """Its second buffer is a part of the first."""

    def __init__(self) -> None:
        super().__init__()
        whole = torch.zeros(6)
        self.register_buffer("whole", whole)
        self.register_buffer("part", whole[:3])


class Carrier:
    """Unpickling it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.full_like(tensor, 0.5) for name, tensor in module.state_dict().items()}


def load(folder: Path, file: str, module: nn.Module | None = None, **more: Any) -> nn.Module:
    trusted = more.pop("trust_pickle", False)
    loaded = Linear() if module is None else module
    weights = Weights(path=file, **more)
    load_weights(loaded, weights, work_in(folder, folder), trust_pickle=trusted)
    return loaded


def refusal(folder: Path, file: str, module: nn.Module | None = None, **more: Any) -> str:
    with pytest.raises(SourceError) as caught:
        load(folder, file, module, **more)
    return str(caught.value)


@pytest.mark.parametrize("file", ["w.safetensors", "w.pt"])
def test_a_checkpoint_fills_the_module(tmp_path: Path, file: str) -> None:
    tensors = weights_of(Linear())
    save: Any = save_file if file.endswith("safetensors") else torch.save
    save(tensors, tmp_path / file)
    assert all((parameter == 0.5).all() for parameter in load(tmp_path, file).parameters())


def test_a_missing_weights_file_is_reported_with_what_is_near(tmp_path: Path) -> None:
    save_file(weights_of(Linear()), tmp_path / "weights.safetensors")
    text = refusal(tmp_path, "weight.safetensors")
    assert "no file weight.safetensors below" in text
    assert "did you mean weights.safetensors?" in text


def test_weights_of_the_named_digest_are_taken(tmp_path: Path) -> None:
    save_file(weights_of(Linear()), tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    load(tmp_path, "w.safetensors", sha256=digest)


def test_weights_of_another_digest_are_refused(tmp_path: Path) -> None:
    save_file(weights_of(Linear()), tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    assert refusal(tmp_path, "w.safetensors", sha256="0" * 64) == (
        f"weights w.safetensors should have sha256 {'0' * 64}, found {digest}; "
        "restore the file, or put the new digest in source.weights.sha256"
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"layer.bias": None}, "missing: layer.bias"),
        ({"layer.extra": torch.ones(1)}, "unexpected: layer.extra"),
        (
            {"layer.weight": torch.ones(3, 5)},
            "other shape: layer.weight is [3, 5], the module wants [3, 4]",
        ),
        ({"layer.bias": None, "b": torch.ones(1)}, "missing: layer.bias; unexpected: b"),
        (
            {f"k{number}": torch.ones(1) for number in range(7)},
            "unexpected: k0, k1, k2, k3, k4 and 2 more",
        ),
    ],
    ids=["missing", "unexpected", "shape", "both", "many"],
)
def test_keys_that_do_not_fit_are_named(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    tensors = {**weights_of(Linear()), **change}
    save_file(
        {key: tensor for key, tensor in tensors.items() if tensor is not None},
        tmp_path / "w.safetensors",
    )
    assert refusal(tmp_path, "w.safetensors") == (
        f"weights w.safetensors do not fit the module ({fault}); "
        "check source.kwargs, or convert the checkpoint's keys"
    )


def test_a_module_is_left_alone_by_weights_that_do_not_fit(tmp_path: Path) -> None:
    save_file({"layer.weight": torch.full((3, 4), 0.5)}, tmp_path / "w.safetensors")
    module = Linear()
    before = state_digest(module)
    refusal(tmp_path, "w.safetensors", module)
    assert state_digest(module) == before


def test_a_tied_weight_that_is_stored_once_is_not_missing(tmp_path: Path) -> None:
    saved = Tied()
    save_model(saved, str(tmp_path / "w.safetensors"))
    module = load(tmp_path, "w.safetensors", Tied())
    assert isinstance(module, Tied)
    assert torch.equal(module.head.weight, saved.embed.weight)


def test_a_tied_weight_that_is_stored_nowhere_is_missing(tmp_path: Path) -> None:
    save_file({}, tmp_path / "w.safetensors")
    assert "missing: embed.weight, head.weight" in refusal(tmp_path, "w.safetensors", Tied())


def test_a_part_of_a_weight_does_not_stand_for_all_of_it(tmp_path: Path) -> None:
    save_file({"part": torch.ones(3)}, tmp_path / "w.safetensors")
    assert "missing: whole" in refusal(tmp_path, "w.safetensors", Viewed())


@pytest.mark.parametrize("how", ["torch.save", "torch.save of old", "pickle"])
def test_a_checkpoint_that_carries_code_does_not_run_it(tmp_path: Path, how: str) -> None:
    carried = {**weights_of(Linear()), "code": Carrier(tmp_path / "ran")}
    if how == "pickle":
        (tmp_path / "w.pt").write_bytes(pickle.dumps({"code": carried["code"]}, protocol=2))
    else:
        torch.save(
            carried, tmp_path / "w.pt", _use_new_zipfile_serialization=not how.endswith("old")
        )
    text = refusal(tmp_path, "w.pt")
    assert not (tmp_path / "ran").exists()
    assert "weights w.pt is a pickle that would run code" in text
    assert "save it as safetensors, or set source.trust: pickle" in text


def test_a_refused_pickle_is_reported_with_what_it_would_call(tmp_path: Path) -> None:
    torch.save({"code": Carrier(tmp_path / "ran")}, tmp_path / "w.pt")
    assert "would run code (posix.mkdir), and was not opened" in refusal(tmp_path, "w.pt")


def test_a_trusted_checkpoint_may_run_its_code(tmp_path: Path) -> None:
    class Odd:
        def __reduce__(self) -> tuple[Any, ...]:
            return Carrier(tmp_path / "ran").__reduce__()

    torch.save(weights_of(Linear()), tmp_path / "w.pt")
    load(tmp_path, "w.pt", trust_pickle=True)
    torch.save({**weights_of(Linear()), "code": Odd()}, tmp_path / "odd.pt")
    text = refusal(tmp_path, "odd.pt", trust_pickle=True)
    assert (tmp_path / "ran").exists()
    assert "odd.pt holds a dict with NoneType under 'code', not a state dict of tensors" in text


def test_trust_is_what_the_spec_says(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    tensors = weights_of(Linear())
    tensors["layer.bias"] = Computed(tensors["layer.bias"])  # type: ignore[assignment]
    torch.save(tensors, path)
    work = work_in(tmp_path, tmp_path)
    source: dict[str, Any] = {"weights": {"path": "w.pt"}}
    with pytest.raises(SourceError, match="would run code"):
        build_module(spec_of(source=source), work)
    built = build_module(spec_of(source={**source, "trust": "pickle"}), work)
    assert all((parameter == 0.5).all() for parameter in built.module.parameters())


class Computed:
    """Becomes a tensor when it is unpickled, by a function that weights_only does not allow."""

    def __init__(self, value: torch.Tensor) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.clone, (self.value,)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pytorch_model.bin.index.json", b'{"weight_map": {}}', "is an index of pickles; save it"),
        ("model.safetensors.index.json", b'{"weight_map": {}}', "is no index of a sharded check"),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "../w.safetensors"}}',
            "is no index of a sharded checkpoint; it needs a weight_map from each key to a",
        ),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "w.bin"}}',
            "names w.bin, which is no .safetensors",
        ),
        (
            "model.safetensors.index.json",
            b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}',
            "no file model-00001-of-00002.safetensors below",
        ),
        ("w.pt", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer; run `git"),
        ("w.pt", b"", "is an empty file; name a .safetensors, or a .pt"),
        ("w.pt", b"<!doctype html>", "is no checkpoint; name a .safetensors, or a .pt that torch"),
        ("w.pt", b"PK\x03\x04 and then nothing", "cannot be read: RuntimeError: "),
        ("w.safetensors", b"{}", "is no checkpoint; name a .safetensors"),
        ("w.safetensors", b"\x40" + b"\0" * 7 + b'{"a"', "cannot be read: SafetensorError: "),
        ("w.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
    ids=[
        "pickled shards",
        "shards",
        "a shard elsewhere",
        "a shard that is none",
        "a shard that is missing",
        "lfs",
        "empty",
        "html",
        "truncated",
        "json",
        "truncated safetensors",
        "lfs safetensors",
    ],
)
def test_a_file_that_is_no_checkpoint_says_what_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    text = refusal(tmp_path, name)
    assert message in text
    assert "run code" not in text


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([torch.ones(1)], "list"),
        ({"epoch": 3, "state_dict": {}}, "a dict with int under 'epoch'"),
        ({3: torch.ones(1)}, "a dict with Tensor under 3"),
    ],
    ids=["list", "lightning", "numbered"],
)
def test_a_checkpoint_that_is_no_state_dict_is_reported_with_what_it_is(
    tmp_path: Path, content: Any, found: str
) -> None:
    torch.save(content, tmp_path / "w.pt")
    assert refusal(tmp_path, "w.pt") == (
        f"weights w.pt holds {found}, not a state dict of tensors; save module.state_dict() alone"
    )


def test_lazy_parameters_take_a_checkpoint(tmp_path: Path) -> None:
    module = nn.Sequential(nn.LazyLinear(2))
    save_file({"0.weight": torch.ones(2, 5), "0.bias": torch.ones(2)}, tmp_path / "w.safetensors")
    load(tmp_path, "w.safetensors", module)
    assert state_digest(module)[1] == 48
