from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxproof.samples.edges import MOST_SAMPLES, EdgeFeed, edge_feeds
from onnxproof.samples.generate import draw
from onnxproof.spec.inputs import InputSpec


def edges_of(constants: tuple[float, ...] = (), **lines: str) -> dict[str, EdgeFeed]:
    """By their inputs and what these hold."""
    inputs = {name: InputSpec.model_validate(line) for name, line in lines.items()}
    edges = edge_feeds(inputs, {"n": 64}, 0, constants)
    return {f"{', '.join(edge.inputs)}: {edge.values}": edge for edge in edges}


def values(edges: dict[str, EdgeFeed], label: str) -> Any:
    name = label.partition(":")[0]
    return edges[label].feed[name]


def test_floats_are_zero_and_minus_zero_and_all_combinations_of_signs() -> None:
    edges = edges_of(x="float32[n, 2]")
    assert not values(edges, "x: 0").any()
    assert np.signbit(values(edges, "x: -0")).all()
    rows = {tuple(row) for row in values(edges, "x: combinations of -1, 0 and 1").tolist()}
    assert len(rows) == 9


@pytest.mark.parametrize(
    "line", ["float32[n] in 0..6", "float16[n] in -2.5..-1", "int8[n] in 3..9"]
)
def test_no_value_leaves_what_is_declared(line: str) -> None:
    declared = InputSpec.model_validate(line)
    for edge in edges_of((0.5, 7.0), x=line).values():
        assert edge.feed["x"].dtype == declared.array_dtype
        assert (edge.feed["x"] >= declared.low).all()
        assert (edge.feed["x"] <= declared.high).all()


def test_both_ends_of_a_range_are_drawn_and_an_input_without_one_has_none() -> None:
    edges = edges_of(x="float32[n] in 0.25..6")
    assert set(values(edges, "x: both ends").tolist()) == {0.25, 6.0}
    assert not [label for label in edges_of(x="float32[n]") if "end" in label]


def test_multiples_of_the_modules_own_numbers_and_what_is_next_to_them_are_drawn() -> None:
    edges = edges_of((0.1,), x="float32[n] in 0..6")
    exact = values(edges, "x: multiples of 0.1")
    near = values(edges, "x: next to multiples of 0.1")
    assert np.float32(0.5) in exact
    assert {np.nextafter(np.float32(0.5), np.float32(end)) for end in (0, 1)} & set(near)


def test_integers_stand_beside_multiples_and_above_what_float32_holds() -> None:
    edges = edges_of((86400.0,), x="int64[n] in 0..2000000000")
    beside = values(edges, "x: next to multiples of 86400") % 86400
    assert set(beside.tolist()) == {0, 1, 86399}
    large = values(edges, "x: above 16777216")
    assert (large > 2**24).all()
    assert (large % 2 == 1).all()


def test_inputs_of_a_kind_change_together_and_the_others_stay_seeded() -> None:
    lines = {"x": "float32[n]", "y": "float32[n]", "keep": "bool[n]", "mask": "int64[n, 4] mask"}
    inputs = {name: InputSpec.model_validate(line) for name, line in lines.items()}
    seeded = draw(inputs, {"n": 64}, 0, 0)
    edges = edges_of((), **lines)
    zeros, none = edges["x, y: 0"].feed, edges["keep: all False"].feed
    assert not zeros["x"].any()
    assert not zeros["y"].any()
    assert not none["keep"].any()
    for feed, name in ((zeros, "keep"), (zeros, "mask"), (none, "x"), (none, "mask")):
        assert np.array_equal(feed[name], seeded[name])


def test_there_are_not_too_many() -> None:
    constants = (0.1, 0.3, 7.0, 86400.0, 5.0)
    edges = edges_of(constants, x="float32[n, 2] in -9..9", i="int64[n] in 0..99", b="bool[n]")
    assert 16 < len(edges) <= MOST_SAMPLES
    assert not edges_of(mask="int64[n, 4] mask")
