from __future__ import annotations

import pickle

import pytest

from onnxproof import errors


def all_errors() -> list[type[errors.OnnxproofError]]:
    found, waiting = [], [errors.OnnxproofError]
    while waiting:
        parent = waiting.pop()
        found.append(parent)
        waiting += parent.__subclasses__()
    return sorted(found, key=lambda error: error.__name__)


@pytest.mark.parametrize("error", all_errors())
def test_every_error_crosses_a_process_whole(error: type[errors.OnnxproofError]) -> None:
    back = pickle.loads(pickle.dumps(error("what was asked")))
    assert type(back) is error
    assert str(back) == "what was asked"


def test_a_stage_error_keeps_its_end_and_its_log() -> None:
    error = errors.ExportError("too slow", end="timeout", log_tail="last words")
    back = pickle.loads(pickle.dumps(error))
    assert (back.end, back.log_tail) == ("timeout", "last words")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OnnxproofError, 1),
        (errors.SpecError, 2),
        (errors.SourceError, 2),
        (errors.LoadError, 3),
        (errors.ExportError, 3),
        (errors.SimplifyError, 3),
        (errors.CheckError, 3),
        (errors.BenchmarkError, 3),
        (errors.RegisterError, 3),
        (errors.ReferenceRefused, 4),
        (errors.ProofRefused, 4),
        (errors.ServerUnreachable, 5),
    ],
)
def test_exit_codes_are_those_of_the_contract(
    error: type[errors.OnnxproofError], code: int
) -> None:
    assert error.exit_code == code


@pytest.mark.parametrize(
    "error",
    [error for error in all_errors() if not error.__subclasses__()],
)
def test_every_error_that_is_raised_names_its_stage(error: type[errors.OnnxproofError]) -> None:
    assert error.stage


def test_the_docstring_lists_every_error() -> None:
    listed = errors.__doc__ or ""
    assert [error.__name__ for error in all_errors() if error.__name__ not in listed] == []
