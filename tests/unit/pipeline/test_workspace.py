from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from onnxproof.errors import BadInput, SpecError
from onnxproof.pipeline.resolve_spec import catalog_names, name_for, resolve_spec
from onnxproof.pipeline.workspace import KEPT_FOLDERS, discard_work, open_work
from onnxproof.records import Work
from tests.helpers.specs import spec_of

SPEC = """
name: {name}
source: {{factory: "tests.helpers.models:linear"}}
inputs: {{x: "float32[batch, 4]"}}
dims: {{batch: {{max: 8}}}}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    folder = tmp_path / "catalog"
    folder.mkdir()
    for name in ("small", "large"):
        (folder / f"{name}.yaml").write_text(SPEC.format(name=name))
    return folder


def opened(home: Path, **sections: Any) -> Work:
    return open_work(
        spec_of(**sections),
        ("root",),
        home=home,
        allow=("pkg",),
        local_code=True,
        metadata={"key": "value"},
    )


def refusal(model: str, catalog: Path, *overrides: str, only_catalog: bool = False) -> str:
    with pytest.raises(SpecError) as caught:
        resolve_spec(model, overrides, catalog, only_catalog=only_catalog)
    return str(caught.value)


def test_a_run_gets_a_new_empty_folder_below_the_models_name(tmp_path: Path) -> None:
    work = opened(tmp_path)
    folder = Path(work.folder)
    assert folder.parent == tmp_path / "work" / "toy"
    assert list(folder.iterdir()) == []
    assert (work.roots, work.allow, work.metadata) == (("root",), ("pkg",), {"key": "value"})


def test_the_newest_five_folders_of_a_model_stay(tmp_path: Path) -> None:
    folders = [Path(opened(tmp_path).folder) for _ in range(KEPT_FOLDERS + 3)]
    for folder in folders:
        if folder.is_dir():
            (folder / "model.onnx").touch()
    assert KEPT_FOLDERS == 5
    assert sorted((tmp_path / "work" / "toy").iterdir()) == folders[-5:]


def test_pruning_takes_full_folders_and_leaves_files_and_other_models(tmp_path: Path) -> None:
    other = Path(opened(tmp_path, name="other").folder)
    first = Path(opened(tmp_path).folder)
    (first / "deep" / "er").mkdir(parents=True)
    (first / "deep" / "er" / "file").touch()
    notes = {first.parent / "0-note.txt", first.parent / "z-note.txt"}
    for note in notes:
        note.touch()
    newest = {Path(opened(tmp_path).folder) for _ in range(KEPT_FOLDERS)}
    assert other.is_dir()
    assert set(first.parent.iterdir()) == notes | newest


def test_a_home_that_cannot_be_written_is_bad_input_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput) as caught:
        opened(tmp_path / "file" / "home")
    text = str(caught.value)
    assert text.startswith(f"cannot make the work folder {tmp_path}/file/home/work/toy/")
    assert text.endswith(": Not a directory; set ONNXPROOF_HOME to a folder that can be written")


def test_a_discarded_folder_is_gone(tmp_path: Path) -> None:
    work = opened(tmp_path)
    Path(work.path("file")).touch()
    discard_work(work)
    discard_work(work)
    assert not Path(work.folder).exists()


def test_a_catalog_entry_is_found_by_its_name(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec, roots = resolve_spec("small", ["dims.batch.max=9"], catalog, only_catalog=True)
    assert (spec.name, spec.dims["batch"].max) == ("small", 9)
    assert roots == (str(tmp_path),)


def test_the_catalog_is_reported_in_order(catalog: Path) -> None:
    assert catalog_names(catalog) == ("large", "small")
    assert catalog_names(catalog / "none") == ()


def test_files_are_looked_up_beside_a_spec_and_then_here(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec, roots = resolve_spec("catalog/small.yaml", [], catalog)
    assert spec.name == "small"
    assert roots == (str(catalog), str(tmp_path))
    monkeypatch.chdir(catalog)
    assert resolve_spec("small.yaml", [], catalog)[1] == (str(catalog),)


def test_a_factory_with_inputs_is_a_spec(catalog: Path) -> None:
    lines = ["inputs.x=float32[batch, 2*seq]", "dims.seq={max: 9}"]
    spec, _ = resolve_spec("mynets.small_nets:build", lines, catalog)
    assert (spec.name, spec.source.factory) == ("small-nets", "mynets.small_nets:build")
    assert {name: (dim.min, dim.max) for name, dim in spec.dims.items()} == {
        "seq": (1, 9),
        "batch": (1, 16),
    }


@pytest.mark.parametrize(
    ("model", "kind", "place", "name"),
    [
        ("torchscript:models/net.pt", "torchscript", "models/net.pt", "net"),
        ("exported_program:x.v2.pt2", "exported_program", "x.v2.pt2", "x-v2"),
        ("mlflow:models:/digits@best", "mlflow", "models:/digits@best", "digits-onnx"),
        ("mlflow:models:/digits/3", "mlflow", "models:/digits/3", "digits-onnx"),
        (f"mlflow:runs:/{'0' * 32}/net", "mlflow", f"runs:/{'0' * 32}/net", "net-onnx"),
        ("transformers:./mini-lm.v2", "transformers", "./mini-lm.v2", "mini-lm-v2"),
        ("transformers:bert/config.json", "transformers", "bert/config.json", "bert"),
        ("timm:vit_base.augreg", "timm", "vit_base.augreg", "vit-base-augreg"),
        ("torchvision:resnet18", "torchvision", "resnet18", "resnet18"),
        ("factory:timm:create_model", "factory", "timm:create_model", "timm"),
        ("torchscripts:net", "factory", "torchscripts:net", "torchscripts"),
    ],
)
def test_what_is_chosen_before_the_first_colon_is_a_kind_of_source_or_a_module(
    catalog: Path, model: str, kind: str, place: str, name: str
) -> None:
    spec, roots = resolve_spec(model, ["inputs.x=float32[batch, 4]"], catalog)
    assert (spec.source.kind, spec.source.target, spec.name) == (kind, place, name)
    assert (roots, spec.dims["batch"].max) == ((str(Path.cwd()),), 16)
    assert refusal(model, catalog) == (
        f"{model} needs its inputs: add --input 'NAME=DTYPE[SHAPE]', "
        f"or write a spec with `onnxproof init {model}`"
    )


def test_a_place_without_a_name_is_called_by_its_folder_or_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert name_for("transformers:.") == re.sub("[^A-Za-z0-9]+", "-", tmp_path.name)
    assert name_for("torchscript:模型.pt") == "model"


def test_a_factory_without_inputs_is_reported_how_to_give_them(catalog: Path) -> None:
    assert refusal("mynets:build", catalog) == (
        "mynets:build needs its inputs: add --input 'NAME=DTYPE[SHAPE]', "
        "or write a spec with `onnxproof init mynets:build`"
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["inputs.x=float32[batch"], "inputs.x: cannot read 'float32[batch'"),
        (["inputs.x={dtype: float32, shape: 3}"], "inputs.x.shape: "),
        (["inputs.x=3"], "inputs.x: "),
        (["inputs=3"], "inputs: "),
        (["inputs.x=float32[4]", "dims=3"], "dims: "),
    ],
)
def test_what_is_no_input_is_reported_by_the_schema_with_its_place(
    catalog: Path, overrides: list[str], message: str
) -> None:
    text = refusal("mynets:build", catalog, *overrides)
    assert text.startswith("mynets:build is not valid. ")
    assert message in text


@pytest.mark.parametrize(
    "model", ["mynets:build", "torchscript:net.pt", "some.yaml", "../catalog/small", "smal"]
)
def test_a_deployment_takes_names_of_the_catalog_alone(catalog: Path, model: str) -> None:
    text = refusal(model, catalog, "inputs.x=float32[4]", only_catalog=True)
    assert text == f"no model {model!r} in the catalog; it has large, small"


@pytest.mark.parametrize(
    "override",
    ["source.trust=pickle", "source={factory: a:b}", " source.weights.path=x.pt", "name=other"],
)
def test_a_deployment_makes_no_other_model_of_a_catalog_entry(catalog: Path, override: str) -> None:
    text = refusal("small", catalog, override, only_catalog=True)
    assert "a deployed run takes " in text
    assert "from the catalog; add an entry there for another model" in text


def test_a_name_that_is_nothing_is_reported_with_what_there_is(catalog: Path) -> None:
    assert refusal("smal", catalog) == (
        "'smal' is no spec file (.yaml), no source (module:callable, or KIND:TARGET with one of "
        "torchscript, exported_program, mlflow, transformers, timm, torchvision) and no catalog "
        "name; the catalog has large, small"
    )
    empty = catalog / "none"
    assert refusal("smal", empty).endswith(f"the catalog has nothing ({empty} holds no .yaml)")


def test_a_spec_file_that_is_missing_is_reported(catalog: Path) -> None:
    assert "cannot read the spec none.yaml: No such file" in refusal("none.yaml", catalog)


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        ("tests.helpers.models:linear", "models"),
        ("my_nets:build", "my-nets"),
        ("_private:build", "private"),
    ],
)
def test_a_factory_gives_a_name_that_the_registry_takes(factory: str, name: str) -> None:
    assert name_for(factory) == name
