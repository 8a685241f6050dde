"""Whether the simplified graph takes the place of the plain one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onnxproof.errors import SimplifyError
from onnxproof.pipeline.search import SIDE_BY_SIDE_BYTES
from tests.helpers.fake_stages import FakeStages, asked, attempt_of, attempts_of, chosen, searched
from tests.helpers.graphs import DIGEST

LOST = "fewer than there: SkipLayerNormalization 0 for 12"


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        (lambda: FakeStages(nodes={"dynamo+onnxsim": 11}), "it has 11 nodes, the plain graph 10"),
        (
            lambda: FakeStages(digests=dict.fromkeys(["dynamo", "dynamo+onnxsim"], DIGEST)),
            "onnxsim found nothing to change",
        ),
    ],
    ids=["more nodes", "the same"],
)
def test_where_a_simplifier_has_nothing_to_gain_no_other_is_tried(
    stages: Callable[[], FakeStages], reason: str
) -> None:
    search = searched(asked(), stages())
    assert chosen(search) == "dynamo"
    assert attempts_of(search)[1:3] == [
        ("dynamo+onnxsim", "not_reached", reason),
        ("dynamo+onnxslim", "not_reached", "dynamo was chosen"),
    ]


def test_the_plain_graph_is_chosen_where_no_simplifier_gave_a_better_one() -> None:
    broken: dict[str, Exception] = {"dynamo+onnxsim": SimplifyError("did not finish within 600 s")}
    stages = FakeStages(broken=broken, wrong={"dynamo+onnxslim": "off"})
    search = searched(asked(), stages)
    assert chosen(search) == "dynamo"
    assert stages.rounds == [["dynamo"]]


def test_a_simplified_graph_that_is_slower_beyond_noise_leaves_its_place_to_the_next() -> None:
    stages = FakeStages(slower=("dynamo+onnxsim",))
    search = searched(asked(), stages)
    assert stages.rounds == [["dynamo", "dynamo+onnxsim"], ["dynamo", "dynamo+onnxslim"]]
    assert chosen(search) == "dynamo+onnxslim"
    assert "1.200 times the latency of dynamo" in attempt_of(search, "dynamo+onnxsim").reason
    stages = FakeStages(slower=("dynamo+onnxsim", "dynamo+onnxslim"))
    assert chosen(searched(asked(), stages)) == "dynamo"


def test_a_simplified_graph_that_is_no_worse_is_chosen_also_where_it_is_no_shorter() -> None:
    stages = FakeStages(nodes={"dynamo+onnxsim": 10})
    search = searched(asked(), stages)
    assert chosen(search) == "dynamo+onnxsim"
    assert attempt_of(search, "dynamo+onnxslim").reason == "dynamo+onnxsim was chosen"


def test_a_large_graph_is_not_held_beside_its_plain_one_to_be_timed() -> None:
    stages = FakeStages(sizes={"dynamo": SIDE_BY_SIDE_BYTES + 1, "dynamo+onnxsim": 10**9})
    search = searched(asked(), stages)
    assert chosen(search) == "dynamo+onnxsim"
    assert stages.rounds == [["dynamo+onnxsim"]]
    assert attempt_of(search, "dynamo+onnxsim").reason == (
        "proven; it is too large to be timed beside the plain graph"
    )


def test_a_simplified_graph_of_which_onnxruntime_fuses_less_is_not_taken() -> None:
    kernels = {
        "dynamo": {"SkipLayerNormalization": 12, "MatMul": 40},
        "dynamo+onnxsim": {"LayerNormalization": 12, "Add": 12, "MatMul": 40},
        "dynamo+onnxslim": {"SkipLayerNormalization": 12, "MatMul": 38},
    }
    stages = FakeStages(kernels=kernels)
    search = searched(asked(), stages)
    assert attempts_of(search)[1] == (
        "dynamo+onnxsim",
        "skipped",
        f"ONNX Runtime runs 64 kernels of it and 52 of the plain graph; {LOST}",
    )
    assert chosen(search) == "dynamo+onnxslim"
    assert stages.rounds == [["dynamo", "dynamo+onnxslim"]]
    measured = searched(asked("fastest"), FakeStages(kernels=kernels))
    assert attempt_of(measured, "dynamo+onnxsim").outcome == "passed"
