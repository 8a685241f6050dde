"""Errors raised on purpose; each message says what was asked, what was found, what to do.

OnnxproofError                 exit 1
  x BadInput                   exit 2   the spec, a file or an argument is wrong
    - SpecError
    - SourceError
  x StageError                 exit 3   a stage did not finish
    - LoadError
    - ExportError
    - SimplifyError
    - CheckError
    - LocalizeError
    - BenchmarkError
    - RegisterError
    - ComparisonError
  x Refused                    exit 4   a stage finished and the answer is no
    - ReferenceRefused
    - ProofRefused
    - PromotionRefused
  x ServerUnreachable          exit 5   Prefect or MLflow does not answer
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

ChildEnd = Literal["error", "crash", "timeout", "out_of_memory"]


class OnnxproofError(Exception):
    """Base of every error that onnxproof raises on purpose."""

    exit_code: ClassVar[int] = 1
    stage: ClassVar[str] = ""


class BadInput(OnnxproofError):
    """What a person wrote cannot be used as it is."""

    exit_code = 2


class SpecError(BadInput):
    """The spec breaks its schema, or contradicts itself."""

    stage = "spec"


class SourceError(BadInput):
    """The model's code or weights cannot be used as the spec names them."""

    stage = "load"


class StageError(OnnxproofError):
    """A stage did not finish.

    Attributes:
        end: How its child process ended.
        log_tail: The last lines the child printed; empty when it printed none.
        where: The line of the model's code at fault, ``model.py:12``; empty when not known.
        hint: What may help; empty when nothing more than the message says is known.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        end: ChildEnd = "error",
        log_tail: str = "",
        where: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.end: ChildEnd = end
        self.log_tail = log_tail
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # The default pickles positional arguments only; errors cross from child processes.
        names = ("end", "log_tail", "where", "hint")
        attributes = {name: getattr(self, name) for name in names}
        return (_rebuild_stage_error, (type(self), str(self), attributes))


def _rebuild_stage_error(
    cls: type[StageError], message: str, attributes: dict[str, Any]
) -> StageError:
    return cls(message, **attributes)


class LoadError(StageError):
    """The module could not be built, or could not be run for its reference."""

    stage = "load"


class ExportError(StageError):
    """A strategy gave no ONNX graph."""

    stage = "export"


class SimplifyError(StageError):
    """A simplifier gave no ONNX graph."""

    stage = "simplify"


class CheckError(StageError):
    """The check itself broke, so nothing is known of the graph."""

    stage = "check"


class LocalizeError(StageError):
    """Where a graph goes wrong was not found; only ``localize`` sees it: the verdict stays."""

    stage = "localize"


class BenchmarkError(StageError):
    """A measurement did not finish."""

    stage = "benchmark"


class RegisterError(StageError):
    """The registry answered, and the version could not be made."""

    stage = "register"


class ComparisonError(StageError):
    """A proven version and the champion could not be run beside each other."""

    stage = "compare"


class Refused(OnnxproofError):
    """A gate said no."""

    exit_code = 4


class ReferenceRefused(Refused):
    """PyTorch's own outputs cannot serve as a reference: NaN, infinity or chance in them."""

    stage = "load"


class ProofRefused(Refused):
    """No candidate was proven."""

    stage = "check"


class PromotionRefused(Refused):
    """The version is proven and registered, and a gate keeps it from becoming champion.

    Attributes:
        outcome: The ExportOutcome of the run, which names the version.
    """

    stage = "promote"

    def __init__(self, message: str, outcome: Any = None) -> None:
        super().__init__(message)
        self.outcome = outcome


class ServerUnreachable(OnnxproofError):
    """A configured server does not answer."""

    exit_code = 5
    stage = "server"


def one_line(error: BaseException, characters: int = 500) -> str:
    """What ``error`` says, for a message of ours: PyTorch and ONNX Runtime write pages."""
    return " ".join(str(error).split())[:characters]
