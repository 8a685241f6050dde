from __future__ import annotations

import pickle

import pytest

from onnxproof import errors


def all_errors() -> list[type[errors.OnnxproofError]]:
    found, waiting = [], [errors.OnnxproofError]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += each.__subclasses__()
    return sorted(found, key=lambda each: each.__name__)


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
    [each for each in all_errors() if not each.__subclasses__()],
)
def test_every_error_that_is_raised_names_its_stage(error: type[errors.OnnxproofError]) -> None:
    assert error.stage


def test_the_docstring_lists_every_error() -> None:
    listed = errors.__doc__ or ""
    assert [each.__name__ for each in all_errors() if each.__name__ not in listed] == []
