from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxproof.errors import SimplifyError
from onnxproof.isolation.child import prepare_children
from onnxproof.records import Run, SimplifierName, Specialization, Work
from onnxproof.simplify.stage import simplify, simplify_in_child
from tests.helpers.graphs import AFFINE, affine_reference, save
from tests.helpers.specs import spec_of, work_in

FOLDABLE = """
    <ir_version: 8, opset_import: ["" : 18], metadata_props: ["author": "a person"]>
    g (float[s0, 4] x) => (float[s1, 4] y) <float[4] half = {0.5, 1, 1.5, 2}>
    { bias = Add(half, half) sum = Add(x, bias) y = Identity(sum) }
"""


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path).model_copy(update={"metadata": {"onnxproof.flow_version": "0.1"}})


def test_a_simplified_graph_is_a_new_candidate_beside_the_plain_one(work: Work) -> None:
    plain = save(FOLDABLE, work)
    simplified = simplify_in_child(Run(spec_of(), work, affine_reference(work)), plain)
    assert (simplified.label, simplified.strategy, simplified.nodes) == (
        "trace+onnxsim",
        "trace",
        1,
    )
    assert simplified.model.path == "candidates/trace+onnxsim/model.onnx"
    assert plain.model.unchanged(work.folder)
    assert simplified.model.unchanged(work.folder)
    assert (simplified.opset, simplified.ir_version) == (plain.opset, plain.ir_version)


def test_the_dims_of_a_simplified_graph_have_the_names_of_the_spec(work: Work) -> None:
    request = (Run(spec_of(), work, affine_reference(work)), save(FOLDABLE, work))
    model = onnx.load(work.path(simplify_in_child(*request).model.path))
    for value in (*model.graph.input, *model.graph.output):
        first, second = value.type.tensor_type.shape.dim
        assert (first.dim_param, second.dim_value) == ("batch", 4)


def test_a_simplified_graph_carries_the_stamp_and_no_notes_of_the_simplifier(work: Work) -> None:
    request = (Run(spec_of(), work, affine_reference(work)), save(FOLDABLE, work))
    model = onnx.load(work.path(simplify_in_child(*request).model.path))
    found = {prop.key: prop.value for prop in model.metadata_props}
    assert found == {"author": "a person", "onnxproof.flow_version": "0.1"}


@pytest.mark.parametrize("simplifier", ["onnxsim", "onnxslim", "rewrite"])
def test_each_simplifier_makes_a_graph_that_is_labeled_named_and_stamped(
    work: Work, simplifier: SimplifierName
) -> None:
    plain = save(FOLDABLE, work)
    request = (Run(spec_of(), work, affine_reference(work)), plain, simplifier)
    simplified = simplify_in_child(*request)
    model = onnx.load(work.path(simplified.model.path))
    assert simplified.label == f"trace+{simplifier}"
    assert simplified.nodes <= plain.nodes
    assert {prop.key for prop in model.metadata_props} == {"author", "onnxproof.flow_version"}
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_simplifier_keeps_the_variant_of_its_candidate(work: Work) -> None:
    plain = save(FOLDABLE, work).model_copy(update={"variant": "eager"})
    run = Run(spec_of(), work, affine_reference(work))
    assert simplify_in_child(run, plain, "onnxslim").label == "trace+onnxslim@eager"


def test_a_file_that_cannot_be_simplified_is_an_error_of_this_stage(work: Work) -> None:
    plain = save(AFFINE, work)
    Path(work.path(plain.model.path)).write_bytes(b"not a graph")
    prepare_children(preload=())
    with pytest.raises(SimplifyError, match=r"^simplify failed: ") as caught:
        simplify(Run(spec_of(), work, affine_reference(work)), plain, "onnxsim")
    assert caught.value.end == "error"
    assert Path(work.path("logs", "simplify-trace+onnxsim.log")).is_file()


def test_what_the_plain_graph_took_from_its_exporter_is_reported_of_the_simplified_one_too(
    work: Work,
) -> None:
    specializations = Specialization(
        input="x", what="only where Eq(x.shape[0], 3)", where="model.py:12"
    )
    noted = {"specializations": (specializations,), "workarounds": ("eager attention",)}
    plain = save(FOLDABLE, work).model_copy(update=noted)
    simplified = simplify_in_child(Run(spec_of(), work, affine_reference(work)), plain)
    assert (simplified.specializations, simplified.workarounds) == (
        (specializations,),
        ("eager attention",),
    )
