from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from onnxproof.errors import BenchmarkError
from onnxproof.runtime import Profiling, Session, available_providers, open_session
from tests.helpers.graphs import AFFINE, save
from tests.helpers.specs import work_in

X = np.zeros((2, 4), np.float32)
AZURE = "AzureExecutionProvider"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    work = work_in(tmp_path)
    return Path(work.path(save(AFFINE, work).model.path))


def test_a_session_gives_outputs_by_name(model: Path) -> None:
    session = open_session(model)
    assert (session.inputs, session.outputs) == (("x",), ("y",))
    assert session.run({"x": X})["y"].tolist() == [[1, 2, 3, 4]] * 2


def test_what_the_graph_does_not_take_is_left_out(model: Path) -> None:
    assert list(open_session(model).run({"more": X, "x": X})) == ["y"]


def test_a_prepared_call_gives_the_outputs_in_order_as_often_as_it_is_called(model: Path) -> None:
    call = open_session(model).prepare({"x": X, "more": X})
    for _ in range(2):
        (y,) = call()
        assert y.tolist() == [[1, 2, 3, 4]] * 2


def test_a_provider_that_this_build_lacks_is_an_error_that_names_those_it_has(model: Path) -> None:
    with pytest.raises(BenchmarkError) as caught:
        open_session(model, "NoSuchExecutionProvider")
    assert str(caught.value) == (
        f"asked for NoSuchExecutionProvider, this ONNX Runtime {onnxruntime.__version__} has "
        f"{', '.join(available_providers())}; install the build that has it, or drop it from "
        "benchmark.providers"
    )


@pytest.mark.skipif(AZURE not in onnxruntime.get_available_providers(), reason="needs Azure's")
def test_a_provider_that_takes_no_node_is_an_error_and_not_the_cpu_in_disguise(model: Path) -> None:
    session = onnxruntime.InferenceSession(str(model), providers=[AZURE])
    assert session.get_providers()[0] == AZURE  # active, as far as ONNX Runtime says
    with pytest.raises(BenchmarkError) as caught:
        open_session(model, AZURE)
    assert str(caught.value) == (
        "asked for AzureExecutionProvider, it takes no node of this graph: "
        "all are on CPUExecutionProvider"
    )


def test_a_provider_that_fell_back_is_an_error(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fallen(onnxruntime.InferenceSession):  # type: ignore[misc]
        def get_providers(self) -> list[str]:
            return ["OtherExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Fallen)
    with pytest.raises(BenchmarkError, match="ONNX Runtime chose OtherExecutionProvider: "):
        open_session(model)


def test_an_older_onnxruntime_that_cannot_tell_where_nodes_are_is_believed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = onnxruntime.InferenceSession.__base__
    monkeypatch.delattr(base, "get_provider_graph_assignment_info")
    assert open_session(model).outputs == ("y",)


def test_a_graph_without_nodes_runs_on_the_provider_that_was_asked_for(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    constant = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[n] x) => (float y) { y = Constant <value = float {2}> () }
    """
    session = open_session(Path(work.path(save(constant, work).model.path)))
    assert session.run({"x": np.zeros(1, np.float32)})["y"] == 2


def test_threads_are_those_of_one_operator_that_rest_between_calls(model: Path) -> None:
    options = options_of(open_session(model, threads=2))
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert options_of(open_session(model)).intra_op_num_threads == 0


def options_of(session: Session) -> Any:
    return session._session.get_session_options()


def test_kernels_are_those_that_onnxruntime_made_of_the_graph(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        g (float[n, 4] x) => (float[n, 4] y) <float[4, 4] w = {1,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}>
        { t = Transpose <perm = [1, 0]> (w)  m = MatMul (x, t)  y = Relu (m) }
    """
    path = Path(work.path(save(text, work).model.path))
    feed = {"x": np.ones((2, 4), np.float32)}
    written = open_session(
        path, optimization="disabled", profile=Profiling(tmp_path)
    ).kernels_of_a_run(feed)
    assert written == {"Transpose": 1, "MatMul": 1, "Relu": 1}
    rewritten = open_session(path, profile=Profiling(tmp_path)).kernels_of_a_run(feed)
    assert rewritten == {"MatMul": 1, "Relu": 1}
    assert not list(tmp_path.glob("profile*"))
