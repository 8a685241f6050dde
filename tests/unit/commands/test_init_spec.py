from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from onnxproof.commands.init_spec import first_spec
from onnxproof.errors import LoadError, OnnxproofError, SourceError, SpecError
from onnxproof.isolation.child import prepare_children
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.source.module import build_module
from onnxproof.spec import Spec, parse_spec
from tests.helpers.specs import ROOT, work_in

NETS = """
import torch
from torch import nn


class Text(nn.Module):
    def __init__(self, positions=600, rows=None):
        super().__init__()
        self.embed, self.places = nn.Embedding(50, 4), nn.Embedding(positions, 4)

    def forward(self, input_ids, attention_mask=None):
        return self.embed(input_ids) + self.places(torch.arange(input_ids.shape[1]))


class Squeezes(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x.squeeze()).sum(1)


class Nameless(nn.Module):
    def forward(self, *args):
        return args[0]


class Weightless(nn.Module):
    def forward(self, left, right):
        return left + right


def short():
    return Text(positions=40)


def sentences():
    return nn.Sequential(nn.Linear(6, 2))


def wave():
    return nn.Sequential(nn.Conv1d(2, 3, 5))
"""


@pytest.fixture(scope="module", autouse=True)
def fork_server() -> None:
    prepare_children()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mynets.py").write_text(NETS)
    return tmp_path


def probed(
    root: Path, factory: str, *, dims: dict[str, dict[str, int]] | None = None, **inputs: str
) -> Spec:
    text = first_spec(factory, inputs, (str(root), str(ROOT)), (), dims=dims)
    return parse_spec(yaml.safe_load(text))


def refusal(
    root: Path, factory: str, error: type[OnnxproofError] = LoadError, **inputs: str
) -> str:
    with pytest.raises(error) as caught:
        first_spec(factory, inputs, (str(root), str(ROOT)), ())
    return str(caught.value)


@pytest.mark.parametrize(
    ("factory", "inputs"),
    [
        ("tests.helpers.models:linear", {"x": "float32[batch, 4]"}),
        ("tests.helpers.models:conv", {"input": "float32[batch, 3, 224, 224]"}),
        ("mynets:wave", {"input": "float32[batch, 2, 256]"}),
        ("mynets:sentences", {"input": "float32[batch, 6]"}),
        (
            "mynets:Text",
            {"input_ids": "int64[batch, seq] in 0..49", "attention_mask": "int64[batch, seq] mask"},
        ),
        (
            "tests.helpers.models:tokens",
            {"input_ids": "int64[batch, seq] in 0..49", "attention_mask": "int64[batch, seq] mask"},
        ),
    ],
)
def test_inputs_are_proposed_from_forward_and_the_first_layer(
    root: Path, factory: str, inputs: dict[str, str]
) -> None:
    found = probed(root, factory)
    wanted = parse_spec({"name": "x", "source": {"factory": factory}, "inputs": inputs,
                         "dims": found.model_dump()["dims"]})  # fmt: skip
    assert found.inputs == wanted.inputs
    assert list(found.inputs) == list(inputs)


def test_a_first_spec_is_one_that_the_load_stage_takes(root: Path, tmp_path: Path) -> None:
    work = work_in(tmp_path, root)
    source = build_module(probed(root, "mynets:short"), work)
    assert ReferenceWriter(source, work).write().points[-1].outcome == "passed"


def test_a_first_spec_says_what_it_is_and_names_the_model(root: Path) -> None:
    text = first_spec("mynets:sentences", {}, (str(root),), ())
    assert text.startswith("# A first spec for mynets:sentences, as `onnxproof init` found it.\n")
    assert "# Widen or narrow dims" in text
    assert yaml.safe_load(text)["name"] == "mynets"


@pytest.mark.parametrize(("factory", "longest"), [("mynets:Text", 512), ("mynets:short", 32)])
def test_a_proposed_sequence_goes_as_far_as_forward_does(
    root: Path, factory: str, longest: int
) -> None:
    assert probed(root, factory).dims["seq"].max == longest


def test_ranges_that_a_person_gives_are_kept(root: Path) -> None:
    found = probed(root, "mynets:Text", dims={"seq": {"min": 2, "max": 9}})
    assert (found.dims["seq"].min, found.dims["seq"].max) == (2, 9)


def test_inputs_that_a_person_gives_are_kept(root: Path) -> None:
    found = probed(root, "mynets:Weightless", left="float32[rows, 3]", right="float32[rows, 3]")
    assert list(found.inputs) == ["left", "right"]
    assert (found.dims["rows"].min, found.dims["rows"].max) == (1, 16)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            "mynets:Weightless",
            "cannot guess the inputs of mynets:Weightless, whose forward takes left, right. Tried",
        ),
        (
            "mynets:Weightless",
            "forward's inputs tell nothing of their shape. Give them: --input 'NAME=DTYPE[SHAPE]'",
        ),
        ("mynets:Nameless", "whose forward takes no parameter by name. Tried nothing"),
        ("mynets:Squeezes", "IndexError at batch=1: Dimension out of range"),
        ("tests.helpers.models:raises", "RuntimeError: the factory is out of order"),
        ("tests.helpers.models:returns_text", "returned str, not a torch.nn.Module"),
        ("tests.helpers.models:leaves", "ended its process with exit code 7"),
    ],
)  # fmt: skip
def test_a_factory_that_gives_no_spec_is_reported_why(
    root: Path, factory: str, message: str
) -> None:
    assert message in refusal(root, factory)


def test_inputs_that_forward_does_not_run_with_are_reported_with_its_words(root: Path) -> None:
    text = refusal(root, "mynets:sentences", input="float32[batch, 7]")
    assert "Tried input: float32[batch, 7] (RuntimeError at batch=3: mat1 and mat2 shapes" in text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": "float32[batch"}, "inputs.x: cannot read 'float32[batch'; write DTYPE[SHAPE]"),
        ({"x": "flaot32[batch]"}, "unknown dtype 'flaot32'; did you mean float32?"),
        ({"x": "float32[batch / 2]"}, "'batch / 2' is no dimension"),
        ({"left": "float32[3]"}, "missing a required argument: 'right'"),
        ({"left": "float32[3]", "rihgt": "float32[3]"}, "inputs rihgt are no parameters of forw"),
    ],
)
def test_a_line_that_is_no_input_of_forward_is_bad_input(
    root: Path, inputs: dict[str, str], message: str
) -> None:
    assert message in refusal(root, "mynets:Weightless", SpecError, **inputs)


def test_a_range_of_a_dim_that_no_input_has_is_bad_input(root: Path) -> None:
    with pytest.raises(SpecError, match="dims rows stand in no input's shape"):
        probed(root, "mynets:sentences", dims={"rows": {"max": 3}})


def test_code_that_nobody_allowed_is_not_probed(root: Path) -> None:
    assert "package os is not allowed" in refusal(root, "os:getcwd", SourceError)
