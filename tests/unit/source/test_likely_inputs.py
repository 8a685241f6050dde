"""First specs of sources that are no factory, and what tells their inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from onnxproof.commands.init_spec import first_spec
from onnxproof.errors import LoadError, OnnxproofError, SourceError, SpecError
from onnxproof.isolation.child import prepare_children
from onnxproof.spec import Spec, parse_spec
from tests.helpers.graphs import load
from tests.helpers.specs import work_in

# torch.jit is deprecated, and transformers warns of what is meant here.
pytestmark = pytest.mark.filterwarnings("ignore")
TOKENS = {"input_ids": "int64[batch, seq] in 0..49", "attention_mask": "int64[batch, seq] mask"}


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 4), nn.Linear(4, 3)

    def forward(self, words: torch.Tensor, keep_mask: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.embed(words) * keep_mask.unsqueeze(-1))
        return result


class Adds(nn.Module):
    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return left + right


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind that is a file or a folder."""
    prepare_children()
    folder = tmp_path_factory.mktemp("models")
    image = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.AdaptiveAvgPool2d(1))
    torch.jit.script(image.eval()).save(folder / "image.pt")
    torch.jit.trace(nn.Linear(6, 2), torch.ones(2, 6)).save(folder / "rows.pt")
    torch.jit.script(Adds()).save(folder / "adds.pt")
    batch, half = torch.export.Dim("rows", max=64), torch.export.Dim("half", min=2, max=9)
    words, mask = torch.ones(3, 8, dtype=torch.int64), torch.ones(3, 8, dtype=torch.int64)
    sizes = {0: batch, 1: 2 * half}
    program = torch.export.export(Tokens().eval(), (words, mask), dynamic_shapes=(sizes, sizes))
    torch.export.save(program, folder / "words.pt2")
    fixed = torch.export.export(nn.Linear(4, 3).eval(), (torch.ones(2, 4),))
    torch.export.save(fixed, folder / "fixed.pt2")
    return folder


def written(root: Path, model: str, overrides: Sequence[str] = (), **inputs: str) -> Spec:
    text = first_spec(model, inputs, (str(root),), (), overrides=overrides)
    return parse_spec(yaml.safe_load(text))


def refusal(root: Path, kind: type[OnnxproofError], model: str, *overrides: str) -> str:
    with pytest.raises(kind) as caught:
        written(root, model, overrides)
    return str(caught.value)


def holds(found: Spec, inputs: dict[str, str], ranges: dict[str, tuple[int, int]]) -> None:
    assert {name: (dim.min, dim.max) for name, dim in found.dims.items()} == ranges
    wanted = {"name": "x", "source": {"factory": "a:b"}, "inputs": inputs}
    assert found.inputs == parse_spec({**wanted, "dims": found.model_dump()["dims"]}).inputs
    assert list(found.inputs) == list(inputs)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("image.pt", {"input": "float32[batch, 4, 224, 224]"}),
        ("rows.pt", {"input": "float32[batch, 6]"}),
    ],
)
def test_torchscript_tells_its_inputs_by_its_first_layer(
    root: Path, file: str, line: dict[str, str]
) -> None:
    found = written(root, f"torchscript:{file}")
    assert (found.source.torchscript, found.name) == (file, file.removesuffix(".pt"))
    holds(found, line, {"batch": (1, 16)})


def test_an_exported_program_tells_its_inputs_and_its_ranges(root: Path, tmp_path: Path) -> None:
    found = written(root, "exported_program:words.pt2")
    lines = {
        "words": "int64[batch, 2*seq] in 0..49",
        "keep_mask": "int64[batch, 2*seq] mask",
    }
    holds(found, lines, {"batch": (1, 64), "seq": (2, 9)})
    points = load(found, work_in(tmp_path, root)).reference.points
    assert {point.outcome for point in points} == {"passed"}


def test_a_program_for_one_size_has_a_spec_of_that_size(root: Path) -> None:
    holds(written(root, "exported_program:fixed.pt2"), {"input": "float32[2, 4]"}, {})


def test_a_transformers_folder_tells_its_inputs_by_its_family(root: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
    bert = transformers.BertConfig(
        **small, vocab_size=50, intermediate_size=32, max_position_embeddings=32
    )
    bert.architectures = ["BertModel"]
    bert.save_pretrained(root / "bert")
    found = written(root, "transformers:./bert/config.json", ["source.class=BertForMaskedLM"])
    assert (found.name, found.source.class_) == ("bert", "BertForMaskedLM")
    holds(found, TOKENS, {"batch": (1, 16), "seq": (1, 32)})

    vit = transformers.ViTConfig(**small, intermediate_size=32, image_size=64)
    vit.architectures = ["ViTModel"]
    vit.save_pretrained(root / "vit")
    image = {"pixel_values": "float32[batch, 3, 64, 64]"}
    holds(written(root, "transformers:vit"), image, {"batch": (1, 16)})

    t5 = transformers.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=1)
    t5.architectures = ["T5ForConditionalGeneration"]
    t5.save_pretrained(root / "t5")
    lines = {**TOKENS, "decoder_input_ids": "int64[batch, target] in 0..49"}
    ranges = {"batch": (1, 16), "seq": (1, 512), "target": (1, 16)}
    holds(written(root, "transformers:t5"), lines, ranges)


def test_a_source_that_tells_nothing_wants_its_inputs_given(root: Path) -> None:
    answer = refusal(root, LoadError, "torchscript:adds.pt")
    assert "cannot guess the inputs of torchscript:adds.pt, whose forward takes left, ri" in answer
    assert answer.endswith("Give them: --input 'NAME=DTYPE[SHAPE]'")
    lines = {"left": "float32[rows, 3]", "right": "float32[rows, 3]"}
    holds(written(root, "torchscript:adds.pt", **lines), lines, {"rows": (1, 16)})


def test_values_that_are_set_are_in_the_first_spec(root: Path) -> None:
    values = ["name=mine", "dims.batch={min: 2, max: 5}", "check.samples=2"]
    found = written(root, "torchscript:rows.pt", values)
    assert (found.name, found.check.samples) == ("mine", 2)
    holds(found, {"input": "float32[batch, 6]"}, {"batch": (2, 5)})


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_named_model_tells_its_inputs_or_the_extra_is_named(root: Path, package: str) -> None:
    pytest.importorskip(package, exc_type=ImportError)
    image = "float32[batch, 3, 224, 224]"
    assert list(written(root, f"{package}:resnet18").inputs.values()) == list(
        parse_spec({"name": "x", "source": {"factory": "a:b"}, "inputs": {"x": image},
                    "dims": {"batch": {"max": 2}}}).inputs.values()
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "model", "message"),
    [
        (SourceError, "torchscript:none.pt", "no file none.pt below"),
        (SourceError, "torchscript:words.pt2", "name it source.exported_program"),
        (SpecError, "torchscript:", "source.torchscript: String should have at least 1 character"),
        (SpecError, "mlflow:digits", "source.mlflow: String should match pattern"),
        (SpecError, "script:./x.pt", "'script:./x.pt' names no source; write module:callable, or"),
        (SpecError, "mynets", "KIND:TARGET with one of torchscript, exported_program, mlflow, tra"),
    ],
)
def test_what_is_no_source_is_bad_input(
    root: Path, kind: type[OnnxproofError], model: str, message: str
) -> None:
    assert message in refusal(root, kind, model)


@pytest.mark.parametrize(("value", "where"), [("dims=3", "dims: "), ("inputs=3", "inputs: ")])
def test_a_value_of_another_kind_is_bad_input(root: Path, value: str, where: str) -> None:
    answer = refusal(root, SpecError, "torchscript:rows.pt", value)
    assert f"{where}Input should be a valid dictionary; found 3" in answer
