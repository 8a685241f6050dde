"""What others say of a damaged file: PyTorch's verify, onnxsim's check, a plain allclose.

Each is given the example alone, in a child, since a damaged graph may take its process down.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from benchmarks.faultlist.fault import Fault, Victim
from benchmarks.faultlist.judge import Breakage
from onnxproof.errors import CheckError
from onnxproof.isolation.child import run_in_child
from onnxproof.samples.generate import Feed
from onnxproof.usercode.source_lines import without_folders

if TYPE_CHECKING:
    import onnx

LIMIT_ABS: Final = 5e-3
LIMIT_REL: Final = 1e-1
"""``torch.onnx._internal.exporter._core`` of 2.13: "The threshold is arbitrary right now"."""
CLOSE: Final = 1e-5
CHECK_N: Final = 3


class Question(NamedTuple):
    """What a peer gets in its child."""

    path: str
    feed: Feed
    expected: dict[str, np.ndarray]
    breakage: Breakage | None  # of onnxsim, where that is the fault
    unloaded: bool  # onnxsim gets the graph without its external data, as our stage has it


class Answer(NamedTuple):
    """``caught``, ``missed`` or ``-``, and in its own words."""

    says: str
    reason: str = ""


def ask_peers(fault: Fault, victim: Victim) -> dict[str, Answer]:
    """All three; ``-`` for whom the fault cannot concern."""
    if fault.stage not in ("check", "simplify") or (fault.stage == "check" and fault.broken):
        return dict.fromkeys(PEERS, Answer("-"))
    simplifies = fault.stage == "simplify"
    feed, expected = victim.example()
    broken = fault.broken if simplifies else None
    unloaded = simplifies and victim.candidate.weights is not None
    question = Question(str(victim.path), feed, expected, broken, unloaded)
    answers, folders = {}, (victim.work.folder, *victim.work.roots)
    for name, ask in PEERS.items():
        if simplifies and name != "onnxsim":
            answers[name] = Answer("-")  # they have no part in it
            continue
        try:
            answers[name] = run_in_child(
                ask, question, failed=CheckError,
                limits=fault.limits or victim.spec.limits,
                log=victim.path.with_suffix(f".{name.split()[0]}.log"),
            )  # fmt: skip
        except CheckError as error:
            # A crash and an exception are noticed by whoever waits for the answer.
            noticed = "caught" if error.end in ("error", "crash") else "missed"
            answers[name] = Answer(noticed, without_folders(str(error), folders)[:200])
    return answers


def verify(question: Question) -> Answer:
    """The comparison of ``torch.onnx.export(verify=True)``; outputs are paired by position.

    It warns and gives the file all the same; a warning counts as caught.
    """
    import torch
    from torch.onnx._internal.exporter._verification import VerificationInfo

    names, found = _outputs(question)
    message = []
    for name, expected, actual in zip(names, question.expected.values(), found, strict=False):
        wanted, given = torch.from_numpy(expected), torch.from_numpy(actual)
        info = VerificationInfo.from_tensors(name, wanted, given)
        if info.max_abs_diff >= LIMIT_ABS:
            message.append(f"{name}: absolute difference of {info.max_abs_diff:.3g}")
        if info.max_rel_diff >= LIMIT_REL:
            message.append(f"{name}: relative difference of {info.max_rel_diff:.3g}")
    return Answer("caught", "; ".join(message)) if message else Answer("missed")


def allclose(question: Question) -> Answer:
    """``np.testing.assert_allclose``, also for the number of outputs."""
    _, found = _outputs(question)
    try:
        for expected, actual in zip(question.expected.values(), found, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=CLOSE, atol=CLOSE)
    except (AssertionError, ValueError) as error:
        return Answer("caught", " ".join(str(error).split())[:200])
    return Answer("missed")


def onnxsim(question: Question) -> Answer:
    """Simplify with ``check_n=3``, on the example: does it say that what it gives is the same?"""
    from onnxsim import simplify

    os.chdir(os.path.dirname(question.path))  # noqa: PTH120  # where external data is looked for
    with question.breakage() if question.breakage else nullcontext():
        model = _loaded(question)
        taken = {graph_input.name for graph_input in model.graph.input}
        feed = {name: array for name, array in question.feed.items() if name in taken}
        _, alike = simplify(model, check_n=CHECK_N, input_data=feed)
    return Answer("missed") if alike else Answer("caught", "ok=False")


def _loaded(question: Question) -> onnx.ModelProto:
    import onnx

    return onnx.load(question.path, load_external_data=not question.unloaded)


def _outputs(question: Question) -> tuple[list[str], list[np.ndarray]]:
    """Inputs by name, as people call it; outputs in the graph's order."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        question.path, settings, providers=["CPUExecutionProvider"]
    )
    return [output.name for output in session.get_outputs()], session.run(None, question.feed)


PEERS: Final[dict[str, Callable[[Question], Answer]]] = {
    "verify=True": verify,
    "onnxsim": onnxsim,
    "allclose": allclose,
}
