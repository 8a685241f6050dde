"""What only a machine with an NVIDIA GPU can show; docs/gpu.md says where and when this ran."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from onnxproof.benchmark.stage import measure_in_child
from onnxproof.check.providers import check_providers
from onnxproof.records import Run
from onnxproof.runtime import Profiling, open_session
from tests.helpers import graphs
from tests.helpers.graphs import AFFINE, save
from tests.helpers.specs import spec_of, work_in

CUDA = "CUDAExecutionProvider"
pytestmark = pytest.mark.skipif(
    CUDA not in onnxruntime.get_available_providers() or not torch.cuda.is_available(),
    reason="needs an NVIDIA GPU, the GPU build of ONNX Runtime and a PyTorch with CUDA",
)
RESHAPED = """
    <ir_version: 8, opset_import: ["" : 18]>
    g (float[n, 4] x) => (float[n, 4] y) <int64[1] two = {2}>
    { s = Shape (x)  z = Add (x, x)  y = Reshape (z, s) }
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    work = work_in(tmp_path)
    return Path(work.path(save(AFFINE, work).model.path))


def rows(count: int) -> dict[str, np.ndarray]:
    return {"x": np.arange(count * 4, dtype=np.float32).reshape(count, 4)}


def test_a_bound_call_leaves_its_outputs_on_the_device_until_they_are_asked_for(
    model: Path,
) -> None:
    session = open_session(model, CUDA)
    assert session.bindings == ("host", "device")
    call = session.bind(rows(2))
    call()
    assert call.outputs()["y"].tolist() == (rows(2)["x"] + [1, 2, 3, 4]).tolist()


def test_each_shape_has_a_cuda_graph_of_its_own(model: Path) -> None:
    session = open_session(model, CUDA, options={"enable_cuda_graph": "1"})
    assert session.bindings == ("device",)
    for count in (1, 3, 2, 3):
        wanted = rows(count)["x"] + [1, 2, 3, 4]
        assert session.run(rows(count))["y"].tolist() == wanted.tolist()


def test_what_stays_on_the_cpu_is_reported_by_name(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    path = Path(work.path(save(RESHAPED, work).model.path))
    session = open_session(path, CUDA, optimization="disabled", profile=Profiling(tmp_path))
    placement = session.placement(rows(2))
    assert placement is not None
    assert placement.nodes[CUDA] >= 1
    assert len(placement.on_cpu) == placement.nodes.get("CPUExecutionProvider", 0)
    assert placement.cpu_time is not None


def test_a_model_is_held_on_cuda_to_what_tf32_does_to_it(tmp_path: Path) -> None:
    spec = spec_of(benchmark={"providers": [{"name": CUDA}], "samples": 20})
    work = work_in(tmp_path)
    loaded = graphs.load(spec, work)
    (rounding,) = loaded.reference.rounding
    assert rounding.precision == "tf32"
    candidate = graphs.export(spec, work, loaded, "trace")
    (found,) = check_providers(Run(spec, work, loaded), candidate, ())
    assert found.verdict.outcome == "passed", found.verdict.reason
    assert [row.basis for row in found.parity] == ["rounding"]


def test_pytorch_is_timed_on_the_same_device_bound_in_the_same_ways(tmp_path: Path) -> None:
    spec = spec_of(benchmark={"providers": [{"name": CUDA}], "samples": 20})
    work = work_in(tmp_path)
    loaded = graphs.load(spec, work)
    candidate = graphs.export(spec, work, loaded, "trace")
    result = measure_in_child(spec, work, (candidate,))
    assert [
        (latency.provider, latency.device, latency.binding) for latency in result.latencies
    ] == [
        ("", "cuda", "host"),
        ("", "cuda", "device"),
        (CUDA, "cuda", "host"),
        (CUDA, "cuda", "device"),
    ]
    assert result.speedup("trace")
