from __future__ import annotations

from pathlib import Path

import pytest

from onnxproof.check.stage import check_in_child
from onnxproof.errors import SourceError
from onnxproof.proof import replay
from onnxproof.records import Proof, Run
from onnxproof.spec import read_spec
from onnxproof.usercode.libraries import find_libraries, noted_libraries
from tests.helpers.graphs import export, load
from tests.helpers.specs import ROOT, spec_of, work_in

# What exporters say of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")
SPEC = ROOT / "examples" / "custom_operator_library.yaml"


def test_a_model_that_needs_a_library_is_proven_with_it_and_does_not_load_without(
    tmp_path: Path,
) -> None:
    pytest.importorskip("onnxruntime_extensions")
    spec = read_spec(SPEC, ["check.samples=1", "dims.batch.max=2"])
    work = work_in(tmp_path).model_copy(update={"allow": ("onnxruntime_extensions",)})
    loaded = load(spec, work)
    for strategy in ("dynamo", "trace"):
        candidate = export(spec, work, loaded, strategy)
        assert check_in_child(Run(spec, work, loaded), candidate).proven
    (library,) = noted_libraries(work.folder)
    model = Path(work.path(candidate.model.path))
    assert replay.open_session(model, "CPUExecutionProvider", [library]).get_inputs()
    with pytest.raises(Exception, match="Inverse"):
        replay.open_session(model, "CPUExecutionProvider")


def test_the_replay_says_which_library_a_model_needs(proof: Proof, work: Path) -> None:
    needing = proof.spec.export.model_copy(update={"needs": ("some_package:library",)})
    spec = proof.spec.model_copy(update={"export": needing})
    text = proof.model_copy(update={"spec": spec}).model_dump_json()
    (work / "proof.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"give a --library for each of some_package:library"):
        replay.replay(work)


def test_a_library_comes_from_an_allowed_package_only(tmp_path: Path) -> None:
    spec = spec_of(export={"needs": ["onnxruntime_extensions:get_library_path"]})
    with pytest.raises(SourceError, match="package onnxruntime_extensions is not allowed"):
        find_libraries(spec.export.needs, work_in(tmp_path))


@pytest.mark.parametrize(
    ("body", "said"),
    [("return 'gone.so'", "gives 'gone.so', which is no file"), ("raise OSError(7)", "OSError: 7")],
)
def test_a_library_that_is_no_file_is_bad_input(body: str, said: str, tmp_path: Path) -> None:
    name = f"library_{len(said)}"
    (tmp_path / f"{name}.py").write_text(f"def path():\n    {body}\n")
    spec = spec_of(export={"needs": [f"{name}:path"]})
    with pytest.raises(SourceError, match=said):
        find_libraries(spec.export.needs, work_in(tmp_path / "work", tmp_path))
    assert noted_libraries(tmp_path / "work") == ()
