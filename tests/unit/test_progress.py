from __future__ import annotations

import logging

import pytest

from onnxproof.progress import Step, listen, say


def test_a_listener_gets_every_step() -> None:
    heard: list[Step] = []
    with listen(heard.append):
        say("check", "comparing", 1, 4)
        say("check", "done")
    assert heard == [Step("check", "comparing", 1, 4), Step("check", "done", 0, 0)]


def test_the_innermost_listener_hears_and_the_outer_one_is_back_afterwards() -> None:
    outer: list[Step] = []
    inner: list[Step] = []
    with listen(outer.append):
        with listen(inner.append):
            say("a", "inside")
        say("a", "outside")
    assert [step.text for step in inner] == ["inside"]
    assert [step.text for step in outer] == ["outside"]


def test_an_error_inside_does_not_leave_a_listener_behind() -> None:
    heard: list[Step] = []
    with pytest.raises(ZeroDivisionError), listen(heard.append):
        raise ZeroDivisionError
    say("a", "afterwards")
    assert heard == []


@pytest.mark.parametrize(
    ("total", "line"),
    [(4, "load: PyTorch (1/4)"), (0, "load: PyTorch")],
    ids=["counted", "unknown"],
)
def test_nobody_listening_means_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture, total: int, line: str
) -> None:
    caplog.set_level(logging.INFO, logger="onnxproof.progress")
    say("load", "PyTorch", 1, total)
    assert caplog.messages == [line]
