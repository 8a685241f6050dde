from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from examples import digits_cnn, minilm
from onnxproof.spec import read_spec

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the digits' files were made."""
    folder = tmp_path_factory.mktemp("digits")
    command = [sys.executable, "-m", "examples.digits_cnn"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder


def test_the_digits_network_is_right_for_97_percent_of_the_test_images(digits: Path) -> None:
    model = digits_cnn.build()
    model.load_state_dict(load_file(digits / digits_cnn.WEIGHTS))
    with np.load(digits / digits_cnn.TEST_ROWS) as rows:
        x, y = rows["x"], rows["y"]
    assert (x.dtype, x.shape, y.dtype) == (np.float32, (450, 1, 8, 8), np.int64)
    assert (x.min(), x.max()) == (0, 1)
    rows_of = digits_cnn.Rows(torch.from_numpy(x), torch.from_numpy(y))
    assert digits_cnn.top1(model.eval(), rows_of) > 0.97


def test_the_digits_are_made_once(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(digits, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    written_at = digits_cnn.WEIGHTS.stat().st_mtime_ns
    digits_cnn.main()
    assert digits_cnn.WEIGHTS.stat().st_mtime_ns == written_at
    digits_cnn.TEST_ROWS.unlink()
    assert digits_cnn.made_before() is None


def test_the_sentence_encoder_has_the_keys_of_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    minilm.write_weights()
    assert load_file(minilm.WEIGHTS).keys() == minilm.build().state_dict().keys()


def test_the_sentence_encoder_finds_the_sentence_that_means_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    embeddings = minilm.embed_with_pytorch(minilm.tokenize())
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    pairs = minilm.nearest(embeddings)
    assert [pairs[index] for index in (0, 4, 12, 16)] == [1, 5, 13, 17]


def test_the_catalog_declares_what_the_examples_take() -> None:
    spec = read_spec(ROOT / "deployments" / "catalog" / "minilm.yaml")
    assert spec.inputs["input_ids"].high == 30521
    assert spec.dims["seq"].max == minilm.LONGEST
