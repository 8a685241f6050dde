from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from onnxproof.check.stage import check_in_child
from onnxproof.records import Run
from onnxproof.spec import StrategyName
from tests.helpers.graphs import export, load
from tests.helpers.specs import spec_of, work_in

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_shared_derived_and_stepped_dims_are_dynamic_and_named_as_declared(
    tmp_path: Path, strategy: StrategyName
) -> None:
    work = work_in(tmp_path)
    spec = spec_of(
        source={"factory": "tests.helpers.failing_models:Shared"},
        inputs={
            "x": "float32[batch, seq, 4]",
            "y": "float32[batch, other, 4]",
            "z": "float32[batch, 2*seq]",
        },
        dims={
            "batch": {"min": 2, "max": 5},
            "seq": {"min": 4, "max": 12, "multiple_of": 4},
            "other": {"max": 6},
        },
        check={"samples": 2},
    )
    loaded = load(spec, work)
    candidate = export(spec, work, loaded, strategy)
    graph = onnx.load(work.path(candidate.model.path)).graph
    assert [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ] == [
        ["batch", "seq", 4],
        ["batch", "other", 4],
        ["batch", "2*seq"],
        ["batch", "seq", "other"],
        ["batch", "seq"],
    ]
    sizes = {(point.dims["batch"], point.dims["seq"]) for point in loaded.reference.points}
    assert {batch for batch, _ in sizes} >= {2, 5}
    assert {seq for _, seq in sizes} == {4, 8, 12}
    assert check_in_child(Run(spec, work, loaded), candidate).proven
