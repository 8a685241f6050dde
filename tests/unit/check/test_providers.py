"""A second execution provider, for real: OpenVINO's plug-in, which runs on Intel's processors.

On others it loads and offers no device (seen on an AMD EPYC, 2026-11-26), and what needs one is
skipped.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from onnxproof.benchmark.stage import measure_in_child
from onnxproof.check.providers import check_providers
from onnxproof.check.stage import check_in_child
from onnxproof.errors import BenchmarkError, SourceError
from onnxproof.records import Candidate, Loaded, Run, Work
from onnxproof.runtime import provider_availability
from onnxproof.spec import Spec
from tests.helpers import graphs
from tests.helpers.specs import spec_of, work_in

PACKAGE = "onnxruntime_ep_openvino"
pytest.importorskip(PACKAGE)

NAME = "OpenVINOExecutionProvider"
LIBRARY = f"{PACKAGE}:get_library_path"
OPENVINO = {"name": NAME, "library": LIBRARY}
FLOAT32 = {"load_config": '{"CPU": {"INFERENCE_PRECISION_HINT": "f32"}}'}
ABSENT = {"name": "NoSuchExecutionProvider", "required": False}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path).model_copy(update={"allow": (PACKAGE,)})


@pytest.fixture
def _a_device() -> None:
    provider_availability.register_plugin(importlib.import_module(PACKAGE).get_library_path())
    if not provider_availability.plugin_devices(NAME):
        pytest.skip("the plug-in offers no device on this processor")


def spec_on(*providers: dict[str, Any], **sections: Any) -> Spec:
    return spec_of(benchmark={"providers": list(providers), "samples": 20}, **sections)


def made(spec: Spec, work: Work) -> tuple[Loaded, Candidate]:
    loaded = graphs.load(spec, work)
    return loaded, graphs.export(spec, work, loaded, "trace")


@pytest.mark.usefixtures("_a_device")
def test_a_graph_is_proven_on_a_plug_in_too_and_its_nodes_are_reported(work: Work) -> None:
    spec = spec_on({"name": "CPUExecutionProvider"}, OPENVINO)
    loaded, candidate = made(spec, work)
    check = check_in_child(Run(spec, work, loaded), candidate)
    assert check.proven, check.reason
    (found,) = check.providers
    assert (found.provider, found.precision) == (NAME, "bfloat16")
    assert found.verdict.outcome == "passed"
    assert [row.basis for row in found.parity] == ["rounding"]
    assert found.placement is not None
    assert list(found.placement.nodes) == [NAME]


@pytest.mark.usefixtures("_a_device")
def test_a_provider_is_held_to_float32_where_it_was_set_to_compute_in_it(work: Work) -> None:
    spec = spec_on({**OPENVINO, "options": FLOAT32})
    loaded, candidate = made(spec, work)
    assert loaded.reference.rounding == ()
    (found,) = check_providers(Run(spec, work, loaded), candidate, ())
    assert (found.precision, found.verdict.outcome) == ("float32", "passed")
    assert [row.basis for row in found.parity] == ["noise"]


@pytest.mark.usefixtures("_a_device")
def test_a_graph_that_is_right_on_the_cpu_alone_is_refused(work: Work) -> None:
    tight = {"atol": 0.0, "rtol": 0.0}
    image = {"inputs": {"x": "float32[batch, 3, 8, 8]"}, "dims": {"batch": {"max": 4}}}
    source = {"source": {"factory": "tests.helpers.models:conv"}}
    spec = spec_on({**OPENVINO, "tolerance": tight}, **source, **image)
    loaded, candidate = made(spec, work)
    check = check_in_child(Run(spec, work, loaded), candidate)
    assert [verdict.outcome for verdict in check.verdicts] == ["passed"] * len(check.verdicts)
    assert not check.proven
    assert check.reason.startswith(f"parity on {NAME}: output ")
    assert "as the spec asks" in check.reason


def test_a_provider_that_is_not_here_is_skipped_with_the_reason(work: Work) -> None:
    spec = spec_on({"name": "CPUExecutionProvider"}, ABSENT)
    loaded, candidate = made(spec, work)
    check = check_in_child(Run(spec, work, loaded), candidate)
    assert check.proven
    (found,) = check.providers
    assert found.verdict.outcome == "skipped"
    assert found.verdict.reason.startswith("asked for NoSuchExecutionProvider, this ONNX Runtime ")
    assert (found.parity, found.placement) == ((), None)


def test_a_required_provider_that_is_not_here_ends_the_check(work: Work) -> None:
    spec = spec_on({**ABSENT, "required": True})
    loaded, candidate = made(spec, work)
    with pytest.raises(BenchmarkError, match="asked for NoSuchExecutionProvider, this ONNX "):
        check_in_child(Run(spec, work, loaded), candidate)


@pytest.mark.usefixtures("_a_device")
def test_a_plug_in_is_timed_beside_the_cpu(work: Work) -> None:
    spec = spec_on({"name": "CPUExecutionProvider"}, OPENVINO)
    _, candidate = made(spec, work)
    result = measure_in_child(spec, work, (candidate,))
    assert [latency.provider for latency in result.latencies] == ["", "CPUExecutionProvider", NAME]
    assert {latency.binding for latency in result.latencies} == {"host"}


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (
            "tests.helpers.models:linear",
            "benchmark.providers library tests.helpers.models:linear gives Linear(",
        ),
        (
            "tests.helpers.models:raises",
            "benchmark.providers library tests.helpers.models:raises raised ",
        ),
    ],
)
def test_a_plug_in_needs_the_path_of_its_library(work: Work, library: str, message: str) -> None:
    spec = spec_on({**OPENVINO, "library": library})
    loaded, candidate = made(spec, work)
    with pytest.raises(SourceError) as caught:
        check_providers(Run(spec, work, loaded), candidate, ())
    assert str(caught.value).startswith(message)


def test_a_file_that_is_no_plug_in_is_reported(work: Work, tmp_path: Path) -> None:
    Path(tmp_path, "notes.txt").write_text("no library", encoding="utf-8")
    from onnxproof.runtime import open_session

    with pytest.raises(BenchmarkError, match="ONNX Runtime does not take it: "):
        open_session(tmp_path / "m.onnx", NAME, plugin=str(tmp_path / "notes.txt"))


def test_a_plug_in_without_a_device_here_is_reported(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxproof.runtime.session.plugin_devices", lambda _: [])
    spec = spec_on({**OPENVINO, "required": False})
    loaded, candidate = made(spec, work)
    (found,) = check_providers(Run(spec, work, loaded), candidate, ())
    assert found.verdict.outcome == "skipped"
    assert found.verdict.reason == (
        "asked for OpenVINOExecutionProvider, libonnxruntime_providers_openvino_plugin.so was "
        "loaded and offers no device of that name on this machine: a plug-in takes its own "
        "vendor's hardware alone, as OpenVINO's takes Intel's processors; run it there, or drop it "
        "from benchmark.providers"
    )
