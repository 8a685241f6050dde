from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxproof.check.parity import check_parity
from onnxproof.check.stage import check_in_child
from onnxproof.check.weights import check_weights
from onnxproof.records import Candidate, Loaded, Run, Work
from onnxproof.runtime import open_session
from onnxproof.spec import Spec, StrategyName
from tests.helpers.graphs import export, load, save
from tests.helpers.specs import spec_of, work_in

TOKENS = {"x": "int64[batch, 4] in 0..9"}
AS_NAMED: dict[str, Any] = {"inputs": TOKENS, "source": {"call": "positional"}}
"""Called by keyword, it would stand inside a module of ours, with a longer name for each weight."""


class Made(NamedTuple):
    spec: Spec
    work: Work
    loaded: Loaded
    candidate: Candidate

    @property
    def model(self) -> onnx.ModelProto:
        model: onnx.ModelProto = onnx.load(self.work.path(self.candidate.model.path))
        return model


def make(folder: Path, factory: str, strategy: StrategyName, **sections: Any) -> Made:
    spec = spec_of(factory, dims={"batch": {"max": 4}}, **sections)
    work = work_in(folder)
    loaded = load(spec, work)
    return Made(spec, work, loaded, export(spec, work, loaded, strategy))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("words"), "words", "trace", **AS_NAMED)


def damaged(made: Made, change: Callable[[dict[str, np.ndarray]], None]) -> Candidate:
    """The graph with other initializers."""
    model = made.model
    arrays = {
        initializer.name: numpy_helper.to_array(initializer).copy()
        for initializer in model.graph.initializer
    }
    change(arrays)
    for initializer in model.graph.initializer:
        initializer.CopyFrom(numpy_helper.from_array(arrays[initializer.name], initializer.name))
    return save(model, made.work, "trace", "onnxslim")


def refusal(made: Made, change: Callable[[dict[str, np.ndarray]], None]) -> str:
    verdict, _ = check_weights(made.work, damaged(made, change))
    assert (verdict.name, verdict.outcome) == ("weights", "failed")
    return verdict.reason


def product_of(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The up layer's weight, which trace stores transposed and under a name of its own."""
    (found,) = (array for name, array in arrays.items() if array.shape == (32, 64))
    return found


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_every_weight_of_an_export_is_the_modules_own(
    tmp_path: Path, strategy: StrategyName
) -> None:
    made = make(tmp_path, "words", strategy, inputs=TOKENS)
    verdict, weight_match = check_weights(made.work, made.candidate)
    assert verdict.outcome == "passed"
    assert verdict.reason == (
        "100.0 % of 272 kB in 4 tensors are the module's own (copy 94.0 %, transposed 6.0 %)"
    )
    assert (weight_match.matched, weight_match.missing) == (
        {"copy": 256_000, "transposed": 16_384},
        (),
    )


def test_a_row_that_no_sample_touches_is_refused_where_parity_passes(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["embed.weight"][777] = 0

    candidate = damaged(words, change)
    session = open_session(Path(words.work.path(candidate.model.path)))
    blind, _ = check_parity(words.spec, words.work, session, words.loaded.reference)
    assert blind.outcome == "passed"
    result = check_in_child(Run(words.spec, words.work, words.loaded), candidate)
    assert result.reason == (
        "weights: 'embed.weight' differs from the module's embed.weight in 1 of 1000 rows "
        "(32 elements, the first at [777, 0])"
    )
    assert result.weight_match is not None
    assert result.weight_match.missing == ("embed.weight",)


def test_one_element_of_a_weight_is_refused_with_its_place(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["other.weight"][500, 7] += 1e-6

    assert refusal(words, change) == (
        "'other.weight' differs from the module's other.weight in 1 of 1000 rows "
        "(1 element, the first at [500, 7])"
    )


def test_one_element_of_a_transposed_weight_without_its_name_is_refused(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        product_of(arrays)[3, 5] *= 1.01

    assert refusal(words, change).endswith(
        " differs from the module's up.weight in 1 of 32 rows (1 element, the first at [3, 5])"
    )


def test_two_weights_with_each_others_names_are_refused(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["embed.weight"], arrays["other.weight"] = (
            arrays["other.weight"],
            arrays["embed.weight"],
        )

    assert refusal(words, change) == (
        "'embed.weight' holds the module's other.weight; "
        "'other.weight' holds the module's embed.weight"
    )


def test_two_weights_merged_into_one_are_refused(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["other.weight"] = arrays["embed.weight"]

    assert refusal(words, change) == "'other.weight' holds the module's embed.weight"


def test_a_weight_that_is_off_everywhere_is_refused_by_its_name(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["embed.weight"] *= np.float32(1.001)

    assert refusal(words, change) == (
        "'embed.weight' differs from the module's embed.weight in 1000 of 1000 rows "
        "(the first is 0)"
    )


def test_what_is_no_copy_of_anything_is_listed_and_not_refused(words: Made) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        product_of(arrays)[...] *= 1.01

    verdict, weight_match = check_weights(words.work, damaged(words, change))
    assert verdict.outcome == "passed"
    assert "97.0 % of 272 kB" in verdict.reason
    (entry,) = weight_match.unmatched
    assert (entry.shape, entry.size_bytes, round(entry.share, 3)) == ((32, 64), 8192, 0.030)
    assert verdict.reason.endswith(f"; not matched: {entry.name} 8.19 kB")
    assert (weight_match.unmatched_bytes, weight_match.missing) == (8192, ("up.weight",))


@pytest.mark.parametrize("strategy", ["dynamo", "trace"])
def test_batch_norms_in_convolutions_are_recomputed(tmp_path: Path, strategy: StrategyName) -> None:
    made = make(tmp_path, "folds", strategy)
    verdict, weight_match = check_weights(made.work, made.candidate)
    assert verdict.outcome == "passed"
    assert "batch norm" in weight_match.matched
    assert weight_match.share == 1


def test_weights_beside_the_graph_are_looked_up_in_their_file(tmp_path: Path) -> None:
    made = make(tmp_path, "words", "trace", inputs=TOKENS, export={"external_data": "always"})
    verdict, weight_match = check_weights(made.work, made.candidate)
    assert (verdict.outcome, weight_match.share) == ("passed", 1)
    assert made.candidate.weights is not None
    with Path(made.work.path(made.candidate.weights.path)).open("r+b") as file:
        file.seek(40)
        file.write(b"\x07")
    verdict, _ = check_weights(made.work, made.candidate)
    assert verdict.outcome == "failed"
    assert "1 of 1000 rows (1 element, the first at [0, 10])" in verdict.reason
