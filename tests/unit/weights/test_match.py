from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from onnxproof.check.weights import check_weights
from onnxproof.records import Verdict, WeightMatch, Work
from onnxproof.reference.weight_index import StateWriter
from onnxproof.weights.match import FILE
from tests.helpers.graphs import save
from tests.helpers.specs import work_in


def held(work: Work, module: nn.Module, **arrays: np.ndarray) -> tuple[Verdict, WeightMatch]:
    """The verdict on a graph with these initializers, which nothing needs to use."""
    StateWriter(module.eval()).write(work)
    tensors = [numpy_helper.from_array(array.copy(), name) for name, array in arrays.items()]
    graph = onnx.helper.make_graph([], "g", [], [], initializer=tensors)
    return check_weights(work, save(onnx.helper.make_model(graph), work))


def numpy_of(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().numpy()
    return array


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return work_in(tmp_path)


LAYER, LSTM = nn.Linear(32, 48), nn.LSTM(16, 32)
FIRST, SECOND = nn.Linear(64, 40), nn.Linear(64, 24)
WEIGHT = numpy_of(LAYER.weight)
PAIR = [numpy_of(FIRST.weight), numpy_of(SECOND.weight)]
GATES = np.split(numpy_of(LSTM.get_parameter("weight_ih_l0")), 4)


@pytest.mark.parametrize(
    ("module", "array", "kind"),
    [
        (LAYER, WEIGHT, "copy"),
        (LAYER, WEIGHT.reshape(48, 32, 1, 1), "copy"),
        (LAYER, WEIGHT.T, "transposed"),
        (LAYER, WEIGHT[10:40], "slice"),
        (LAYER, WEIGHT.T[:, 10:40], "slice"),
        (nn.Sequential(FIRST, SECOND), np.concatenate(PAIR), "merged"),
        (nn.Sequential(FIRST, SECOND), np.concatenate(PAIR).T, "merged"),
        (LSTM, np.concatenate([GATES[0], GATES[3], GATES[1], GATES[2]])[None], "gates"),
    ],
    ids=["copy", "reshaped", "transposed", "rows", "columns", "merged", "turned", "gates"],
)
def test_a_form_of_a_weight_has_its_name(
    work: Work, module: nn.Module, array: np.ndarray, kind: str
) -> None:
    verdict, weight_match = held(work, module, other=array)
    assert verdict.outcome == "passed"
    assert weight_match.matched == {kind: array.nbytes}


def test_two_rows_that_changed_places_are_no_form_of_a_weight(work: Work) -> None:
    array = WEIGHT.copy()
    array[[3, 9]] = array[[9, 3]]
    verdict, _ = held(work, LAYER, weight=array)
    assert (
        verdict.reason
        == "'weight' differs from the module's weight in 2 of 48 rows (the first is 3)"
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64])
def test_weights_of_any_type_are_matched(work: Work, dtype: torch.dtype) -> None:
    module = nn.Module()
    module.register_buffer("table", torch.arange(1024).to(dtype).reshape(32, 32))
    array = numpy_of(module.get_buffer("table"))
    assert held(work, module, onnx_1=array.T)[1].matched == {"transposed": array.nbytes}


def test_a_tied_weight_has_all_its_names(work: Work) -> None:
    table, head = nn.Embedding(48, 32), nn.Linear(32, 48, bias=False)
    head.weight = table.weight
    array = numpy_of(table.weight)
    verdict, weight_match = held(
        work, nn.Sequential(table, head), **{"0.weight": array, "1.weight": array}
    )
    assert (verdict.outcome, weight_match.share, weight_match.missing) == ("passed", 1, ())


def test_a_name_below_the_module_that_flattens_inputs_is_understood(work: Work) -> None:
    reason = held(work, LAYER, **{"model.weight": WEIGHT + 1})[0].reason
    assert (
        reason
        == "'model.weight' differs from the module's weight in 48 of 48 rows (the first is 0)"
    )


def test_tensors_that_are_no_parameters_are_known_too(work: Work) -> None:
    module = nn.Module()
    module.register_buffer("cache", torch.rand(32, 32), persistent=False)
    table = torch.rand(32, 32)
    module.table = table
    arrays = {"a": numpy_of(module.get_buffer("cache")), "b": numpy_of(table)}
    assert held(work, module, **arrays)[1].matched == {"copy": 8192}


def test_a_tensor_that_forward_changes_is_no_plain_copy(work: Work) -> None:
    module = nn.Module()
    module.register_buffer("count", torch.zeros(32, 32))
    writer = StateWriter(module)
    module.get_buffer("count").add_(1)
    writer.write(work)
    tensor = numpy_helper.from_array(np.zeros((32, 32), np.float32), "count")
    graph = onnx.helper.make_graph([], "g", [], [], initializer=[tensor])
    verdict, weight_match = check_weights(work, save(onnx.helper.make_model(graph), work))
    assert (verdict.outcome, weight_match.share) == ("passed", 0)


def test_a_module_without_large_tensors_passes_and_says_so(work: Work) -> None:
    verdict, weight_match = held(work, nn.Linear(4, 3), other=np.ones((32, 32), np.float32))
    assert verdict.outcome == "passed"
    assert verdict.reason == "the module has no tensor of 1024 bytes or more"
    assert (weight_match.size_bytes, weight_match.share) == (4096, 0)


def test_the_weights_are_not_written_again(work: Work) -> None:
    module = nn.Linear(1024, 1024)
    StateWriter(module).write(work)
    assert Path(work.path(FILE)).stat().st_size < 0.01 * 4 * 1024**2


@pytest.mark.parametrize("biased", [True, False])
def test_a_bias_with_a_batch_norm_in_it_is_recomputed(work: Work, biased: bool) -> None:
    layer, norm = nn.Linear(8, 300, bias=biased), nn.BatchNorm1d(300)
    norm.running_mean, norm.running_var = torch.rand(300), torch.rand(300) + 0.5
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    module = nn.Sequential(layer, norm).eval()
    with torch.no_grad():
        folded = module(torch.zeros(1, 8))[0].numpy()
    assert held(work, module, folded=folded)[1].matched == {"batch norm": 1200}
    folded[7] += 0.1
    verdict, weight_match = held(work, module, folded=folded)
    assert (verdict.outcome, weight_match.share) == ("passed", 0)


def test_a_folded_weight_that_is_off_in_one_channel_is_refused(work: Work) -> None:
    layer, norm = nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)
    norm.running_mean, norm.running_var = torch.rand(16), torch.rand(16) + 0.5
    module = nn.Sequential(layer, norm)
    scale = (norm.running_var + norm.eps).rsqrt()
    folded = numpy_of(layer.weight * scale[:, None, None, None]).copy()
    assert held(work, module, onnx_1=folded)[1].matched == {"batch norm": folded.nbytes}
    folded[5, 2, 1, 1] += 0.1
    verdict, _ = held(work, module, onnx_1=folded)
    assert verdict.outcome == "failed"
    assert verdict.reason == (
        "'onnx_1' differs from the module's 0.weight with 1 in it, in 1 of 16 channels "
        "(the first is 5)"
    )


def test_a_weight_that_a_norm_makes_zero_is_the_one_whose_name_it_has(work: Work) -> None:
    norm = nn.BatchNorm2d(8)
    nn.init.zeros_(norm.weight)
    module = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), norm)
    verdict, weight_match = held(work, module, **{"1.weight": np.zeros((8, 8, 3, 3), np.float32)})
    assert (verdict.outcome, weight_match.share) == ("passed", 1)
