from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from onnxproof.check.edges import check_edges
from onnxproof.check.parity import check_parity
from onnxproof.records import EdgeCheck, Reference, Verdict
from onnxproof.reference.edge_samples import ask_edges
from onnxproof.reference.noise_floor import measure_noise
from onnxproof.reference.sample_writer import ReferenceWriter
from onnxproof.samples.generate import Feed
from tests.helpers.specs import Does, source_of, spec_of, work_in

Answers = Callable[..., Any]


class Graph:
    """A graph that says what ``answers`` says; in place of an ONNX Runtime session."""

    def __init__(self, answers: Answers, reference: Reference) -> None:
        self.answers, self.names = answers, [output.name for output in reference.outputs]

    def run(self, feed: Feed) -> dict[str, Any]:
        with torch.no_grad():
            said = self.answers(*(torch.from_numpy(array.copy()) for array in feed.values()))
        outputs = said if isinstance(said, tuple) else (said,)
        return {name: output.numpy() for name, output in zip(self.names, outputs, strict=True)}


def checked(
    folder: Path, module: Answers, graph: Answers, **sections: Any
) -> tuple[Verdict, tuple[EdgeCheck, ...]]:
    """The verdict on ``graph``, which is right on every seeded sample."""
    given = {"inputs": {"x": "float32[n, 4]"}, "dims": {"n": {"max": 16}}, **sections}
    model = module if isinstance(module, nn.Module) else Does(module)
    source, work = source_of(model.eval(), **given), work_in(folder)
    writer = ReferenceWriter(source, work)
    reference = writer.write()
    edges = ask_edges(source, reference)
    floor = measure_noise(source, work, reference, 0, 60)
    reference = reference.model_copy(update={"noise": floor.noise})
    reference = writer.add_edges(reference, edges, 0)
    session: Any = Graph(graph, reference)
    verdict, parity = check_parity(spec_of(**given), work, session, reference)
    assert verdict.outcome == "passed", verdict.reason
    return check_edges(work, session, reference, parity)


def half_turn(x: torch.Tensor) -> torch.Tensor:
    """The angle, with the wrong sign on one half of an axis."""
    angle = torch.atan2(x[:, 0], x[:, 1])
    return torch.where((x[:, 0] == 0) & (x[:, 1] < 0), -torch.pi, angle)


@pytest.mark.parametrize(
    ("right", "wrong", "where"),
    [
        (torch.sign, lambda x: torch.where(x >= 0, 1.0, -1.0), "x: 0"),
        (torch.round, lambda x: torch.floor(x + 0.5), "x: half steps"),
        (
            lambda x: torch.floor_divide(x, 0.1),
            lambda x: torch.floor(x / 0.1),
            "x: combinations of -1, 0 and 1",
        ),
        (
            lambda x: torch.atan2(x[:, 0], x[:, 1]),
            half_turn,
            "x: whole numbers",
        ),
    ],
    ids=["at zero", "at half steps", "at multiples", "on an axis"],
)
def test_a_graph_that_is_wrong_at_an_edge_alone_is_refused(
    tmp_path: Path, right: Answers, wrong: Answers, where: str
) -> None:
    verdict, _ = checked(tmp_path, right, wrong)
    assert verdict.outcome == "failed"
    assert f" ({where}); " in verdict.reason
    assert checked(tmp_path / "right", right, right)[0].outcome == "passed"


def test_a_mask_that_is_declared_may_be_all_false(tmp_path: Path) -> None:
    class Kept(nn.Module):
        def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
            return torch.where(keep.any(), x, torch.zeros_like(x))

    inputs = {"x": "float32[n, 4]", "keep": "bool[n, 9]"}
    verdict, _ = checked(tmp_path, Kept(), lambda x, _keep: x, inputs=inputs)
    assert " (keep: all False); " in verdict.reason


def test_what_follows_from_the_sign_of_zero_alone_is_a_note(tmp_path: Path) -> None:
    verdict, rows = checked(tmp_path, torch.signbit, lambda x: x < 0)
    assert verdict.outcome == "passed"
    assert [row.outcome for row in rows if row.values == "-0"] == ["skipped"]
    assert "1 of them but for the sign of zero" in verdict.reason


def test_the_order_of_values_that_an_edge_sample_made_alike_is_not_compared(
    tmp_path: Path,
) -> None:
    def right(x: torch.Tensor) -> Any:
        return tuple(torch.sort(x, descending=True, stable=True))

    def last_first(x: torch.Tensor) -> Any:
        values, indices = torch.sort(x.flip(1), descending=True, stable=True)
        return values, x.shape[1] - 1 - indices

    _, rows = checked(tmp_path, right, last_first)
    ties = {"0", "constant rows"}
    assert {row.values for row in rows if row.outcome == "passed"} >= ties


def test_where_pytorch_raises_or_is_not_finite_the_sample_says_nothing(tmp_path: Path) -> None:
    verdict, rows = checked(tmp_path, lambda x: 1 / x, lambda x: torch.where(x == 0, 7.0, 1 / x))
    assert verdict.outcome == "passed"
    assert rows
    assert not [row for row in rows if row.values in {"0", "-0", "a zero in three"}]


def test_noise_of_a_constant_row_is_that_of_one_that_is_nearly_so(tmp_path: Path) -> None:
    norm = nn.LayerNorm(4, eps=1e-12)

    def by_hand(x: torch.Tensor) -> torch.Tensor:
        mean = (x * 0.25).sum(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-12)

    verdict, _ = checked(tmp_path, norm, by_hand)
    assert verdict.outcome == "passed", verdict.reason
