from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import LoadError, SourceError
from onnxproof.source.module import build_module
from tests.helpers.graphs import load, save_bert
from tests.helpers.specs import work_in
from tests.unit.source.test_kinds import key_for, message_of, proven, spec_for

# transformers and the exporters warn of what is meant here.
pytestmark = pytest.mark.filterwarnings("ignore")
BERT: dict[str, Any] = {
    "inputs": {
        "input_ids": "int64[batch, seq] in 0..49",
        "attention_mask": "int64[batch, seq] mask",
    },
    "dims": {"batch": {"max": 3}, "seq": {"max": 8}},
    "check": {"samples": 1},
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small BERT for three classes."""
    root = tmp_path_factory.mktemp("models")
    save_bert(root / "bert")
    return root


def test_a_transformers_folder_is_proven_with_the_class_of_its_config(bert: Path) -> None:
    loaded = proven(spec_for({"transformers": "bert"}, **BERT), bert, "trace")
    assert loaded.module_class.endswith("BertForSequenceClassification")
    assert [output.name for output in loaded.reference.outputs] == ["logits"]


def test_the_class_of_a_transformers_folder_can_be_chosen(bert: Path, tmp_path: Path) -> None:
    shutil.copytree(bert / "bert", tmp_path / "bert")
    spec = spec_for({"transformers": "bert", "class": "AutoModel"}, **BERT)
    loaded = proven(spec, tmp_path, "trace")
    names = [output.name for output in loaded.reference.outputs]
    assert names == ["last_hidden_state", "pooler_output"]


def test_a_config_file_is_a_model_with_random_weights_and_its_settings(bert: Path) -> None:
    source = {
        "transformers": "bert/config.json",
        "kwargs": {"num_hidden_layers": 2, "attn_implementation": "eager"},
    }
    built = build_module(spec_for(source, **BERT), work_in(bert / "w", bert)).model
    config: Any = built.config
    assert (config.num_hidden_layers, config._attn_implementation) == (2, "eager")
    assert key_for(source, bert, **BERT) is None


def test_the_caches_of_a_decoder_are_off(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=16)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokens = {"inputs": {"input_ids": BERT["inputs"]["input_ids"]}}
    spec = spec_for({"transformers": "gpt2"}, **{**BERT, **tokens})
    outputs = load(spec, work_in(tmp_path / "w", tmp_path)).reference.outputs
    assert [output.name for output in outputs] == ["logits"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class": "AutoModelForTokenClassificatio"}, "did you mean AutoModelForTokenClassif"),
        ({"class": "AutoTokenizer"}, "transformers.AutoTokenizer is no class of models"),
        ({"class": "GPT2Model"}, "GPT2Model takes a GPT2Config, and bert has a BertConfig"),
        ({"class": "AutoModelForMaskedLM"}, "(missing: cls.predictions.bias, "),
        ({"kwargs": {"nonsense": 1}}, "kwargs has nonsense, and BertConfig has no such setting"),
        ({"kwargs": {"num_labels": 5}}, "(other shape: classifier.bias, classifier.weight)"),
    ],
)
def test_what_a_transformers_folder_cannot_give_is_said(
    bert: Path, change: dict[str, Any], message: str
) -> None:
    assert message in message_of({"transformers": "bert", **change}, bert, SourceError)


def test_code_in_a_transformers_folder_is_not_run(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    config = {"model_type": "theirs", "auto_map": {"AutoConfig": "code.Config"}}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "code.py").write_text("raise SystemExit('ran')")
    text = message_of({"transformers": "model"}, tmp_path, LoadError)
    assert "code in the folder is not run: use a factory" in text


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_every_file_of_a_transformers_folder_is_in_the_key(bert: Path, file: str) -> None:
    before = key_for({"transformers": "bert"}, bert, **BERT)
    moved = bert / "moved" / "bert"
    shutil.copytree(bert / "bert", moved)
    with (moved / file).open("ab") as handle:
        handle.write(b" ")
    assert key_for({"transformers": "bert"}, moved.parent, **BERT) not in (None, before)
    shutil.rmtree(moved)
