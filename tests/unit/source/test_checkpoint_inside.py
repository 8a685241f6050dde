"""Checkpoints of several files, and state dicts inside of larger checkpoints."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.models import Linear
from tests.unit.source.test_checkpoint import load, refusal, weights_of


def save_shards(folder: Path) -> str:
    """The weights in two shards; what sha256sum prints for the index and them."""
    tensors = weights_of(Linear())
    places = {key: f"model-{number}.safetensors" for number, key in enumerate(tensors)}
    for key, file in places.items():
        save_file({key: tensors[key]}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    command = "sha256sum model.safetensors.index.json model-0.safetensors model-1.safetensors"
    return subprocess.check_output(command.split(), cwd=folder, text=True)


def test_a_sharded_checkpoint_is_read_by_its_index(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    printed = save_shards(tmp_path / "folder")
    index = "folder/model.safetensors.index.json"
    digest = hashlib.sha256(printed.encode()).hexdigest()
    module = load(tmp_path, index, sha256=digest)
    assert all((parameter == 0.5).all() for parameter in module.parameters())
    (tmp_path / "folder" / "model-1.safetensors").write_bytes(b"another shard")
    assert "should have sha256" in refusal(tmp_path, index, sha256=digest)


NESTED = {
    "epoch": 3,
    "state_dict": {"net.layer.weight": 0.5, "net.layer.bias": 0.5, "loss.scale": 1.0},
    "ema": {"module": {"layer.weight": 0.25, "layer.bias": 0.25}},
}


def save_nested(folder: Path) -> None:
    """As a trainer saves: its own state, the model's below a prefix, and an average of it."""

    def tensors(values: dict[str, Any]) -> dict[str, Any]:
        return {
            key: tensors(value) if isinstance(value, dict) else torch.full(shape_of(key), value)
            for key, value in values.items()
            if key != "epoch"
        }

    def shape_of(key: str) -> tuple[int, ...]:
        return tuple(weights_of(Linear()).get(key.removeprefix("net."), torch.ones(1)).shape)

    torch.save({"epoch": 3, **tensors(NESTED)}, folder / "w.pt")


@pytest.mark.parametrize(
    ("fields", "value"),
    [({"state_dict": "state_dict", "prefix": "net."}, 0.5), ({"state_dict": "ema.module"}, 0.25)],
    ids=["of a trainer", "average"],
)
def test_the_state_dict_in_a_larger_checkpoint_is_found_by_its_key(
    tmp_path: Path, fields: dict[str, Any], value: float
) -> None:
    save_nested(tmp_path)
    assert all(
        (parameter == value).all() for parameter in load(tmp_path, "w.pt", **fields).parameters()
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "not a state dict of tensors; name one in source.weights.state_dict: state_dict"),
        ({"state_dict": "ema"}, "name one in source.weights.state_dict: ema.module"),
        ({"state_dict": "ema.modul"}, "nothing under 'ema.modul': at 'modul' there is module;"),
        ({"state_dict": "epoch.a"}, "nothing under 'epoch.a': at 'a' there is no dict;"),
        ({"state_dict": "state_dict"}, "set source.weights.prefix: 'net.'"),
        ({"state_dict": "state_dict", "prefix": "ne_"}, "begins with 'ne_'; they have net.l"),
    ],
    ids=["none", "outer", "near", "number", "prefix needed", "no such prefix"],
)  # fmt: skip
def test_a_key_or_prefix_that_is_wrong_is_reported_with_those_there_are(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    save_nested(tmp_path)
    assert message in refusal(tmp_path, "w.pt", **fields)


def test_a_safetensors_file_has_no_state_dict_inside(tmp_path: Path) -> None:
    save_file(weights_of(Linear()), tmp_path / "w.safetensors")
    assert "remove source.weights.state_dict" in refusal(tmp_path, "w.safetensors", state_dict="a")
