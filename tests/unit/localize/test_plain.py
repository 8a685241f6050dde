from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxproof.check.stage import check_in_child
from onnxproof.localize import reproducer
from onnxproof.localize.stage import localize_in_child
from onnxproof.records import Run, Work
from tests.helpers.damages import Refused, runs_alone
from tests.helpers.graphs import save, save_reference
from tests.helpers.specs import spec_of, work_in

# Graphs written by hand, where the plain one is the reference.
PLAIN = """
    <ir_version: 8, opset_import: ["" : 18]>
    plain (float[batch, 4] x) => (float[batch, 4] y) <float[4] one = {1, 1, 1, 1}>
    { a = Add(x, one)  b = Mul(a, a)  c = Tanh(b)  y = Neg(c) }
"""
FOLDED = """
    <ir_version: 8, opset_import: ["" : 18]>
    folded (float[batch, 4] x) => (float[batch, 4] y) <float[4] one = {1, 1, 1, 1}>
    { h = Add(x, one)  a = Mul(h, h)  c = OPERATOR(a)  y = Neg(c) }
"""


def refused_beside_plain(work: Work, simplified: str) -> Refused:
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    loaded = save_reference(work, ({"x": x}, {"y": -np.tanh((x + 1) ** 2)}))
    plain = save(PLAIN, work)
    spec = spec_of()
    assert check_in_child(Run(spec, work, loaded), plain).proven
    candidate = save(simplified, work, simplifier="onnxsim")
    check = check_in_child(Run(spec, work, loaded), candidate)
    return Refused(Run(spec, work, loaded), candidate, check, plain)


def test_a_simplified_graph_is_held_against_the_plain_one(tmp_path: Path) -> None:
    request = refused_beside_plain(
        work_in(tmp_path), PLAIN.replace("c = Tanh(b)", "c = Sigmoid(b)")
    )
    found = localize_in_child(*request)
    assert (found.against, found.tensor, found.operator) == ("trace", "c", "Sigmoid")
    assert found.reproduces
    given, wanted = runs_alone(request, found)
    assert not np.allclose(given, wanted)


def test_a_tensor_with_the_value_of_a_later_one_is_right_since_an_operator_was_folded(
    tmp_path: Path,
) -> None:
    request = refused_beside_plain(work_in(tmp_path), FOLDED.replace("OPERATOR", "Sigmoid"))
    found = localize_in_child(*request)
    assert (found.tensor, found.operator, found.reproduces) == ("c", "Sigmoid", True)


def test_nan_that_begins_in_the_graph_is_found(tmp_path: Path) -> None:
    request = refused_beside_plain(work_in(tmp_path), PLAIN.replace("b = Mul(a, a)", "b = Log(x)"))
    found = localize_in_child(*request)
    assert (found.tensor, found.operator) == ("b", "Log")
    assert found.max_abs_diff == float("inf")


def test_a_node_at_which_onnxruntime_stops_is_named(tmp_path: Path) -> None:
    # Of 12 elements it can make no row of 5.
    reshaped = PLAIN.replace("<float[4] one", "<int64[2] size = {-1, 5}, float[4] one").replace(
        "y = Neg(c)", "d = [stops] Reshape(c, size)  y = Neg(d)"
    )
    work = work_in(tmp_path)
    request = refused_beside_plain(work, PLAIN)
    model = onnx.parser.parse_model(reshaped.replace("[stops] ", ""))
    next(node for node in model.graph.node if node.op_type == "Reshape").name = "stops"
    candidate = save(model, work)
    found = localize_in_child(*request._replace(candidate=candidate, plain=None))
    assert (found.node, found.operator) == ("stops", "Reshape")
    assert found.reason == "ONNX Runtime stops there"


def test_a_graph_that_is_right_without_optimizations_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxproof.runtime.intermediates import Examined

    run = Examined.run

    def fuses_wrongly(self, feed, names, optimization="disabled"):  # type: ignore[no-untyped-def]
        found = run(self, feed, names)
        wrong = optimization in ("extended", "all")
        return {name: array + 1 if wrong else array for name, array in found.items()}

    monkeypatch.setattr(Examined, "run", fuses_wrongly)
    found = localize_in_child(*refused_beside_plain(work_in(tmp_path), PLAIN))
    assert found.tensor == ""
    assert found.reason.startswith(
        "wrong only with ONNX Runtime's optimizations, from level extended on"
    )


def test_where_no_node_is_wrong_alone_the_record_says_that_differences_grew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = refused_beside_plain(work_in(tmp_path), PLAIN.replace("c = Tanh(b)", "c = Sin(b)"))
    monkeypatch.setattr(reproducer, "_differs", lambda *_: False)
    found = localize_in_child(*request)
    assert (found.tensor, found.reproduces) == ("c", False)
    assert "have grown too large here" in found.reason
