"""A PyTorch model becomes a registered ONNX model version that carries its proof.

Names are imported when they are first used, so that ``import onnxproof`` costs next to nothing.
docs/api.md says which of them are stable. None has the name of a module of the package: importing
``onnxproof.export.stage`` would put the module in the place of a function ``export``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from onnxproof.api import (
        examine_machine,
        export_model,
        first_spec,
        list_operators,
        show_model,
        time_model,
        verify_model,
    )
    from onnxproof.errors import (
        BadInput,
        BenchmarkError,
        CheckError,
        ExportError,
        LoadError,
        OnnxproofError,
        ProofRefused,
        ReferenceRefused,
        Refused,
        RegisterError,
        ServerUnreachable,
        SimplifyError,
        SourceError,
        SpecError,
        StageError,
    )
    from onnxproof.records import ExportOutcome, OperatorReport, Proof, Registration
    from onnxproof.spec import Spec, read_spec

_HOMES: Final = {
    "api": (
        "examine_machine",
        "export_model",
        "first_spec",
        "list_operators",
        "show_model",
        "time_model",
        "verify_model",
    ),
    "errors": (
        "BadInput",
        "BenchmarkError",
        "CheckError",
        "ExportError",
        "LoadError",
        "OnnxproofError",
        "ProofRefused",
        "ReferenceRefused",
        "Refused",
        "RegisterError",
        "ServerUnreachable",
        "SimplifyError",
        "SourceError",
        "SpecError",
        "StageError",
    ),
    "records": ("ExportOutcome", "OperatorReport", "Proof", "Registration"),
    "spec": ("Spec", "read_spec"),
}

__all__ = [
    "BadInput",
    "BenchmarkError",
    "CheckError",
    "ExportError",
    "ExportOutcome",
    "LoadError",
    "OnnxproofError",
    "OperatorReport",
    "Proof",
    "ProofRefused",
    "ReferenceRefused",
    "Refused",
    "RegisterError",
    "Registration",
    "ServerUnreachable",
    "SimplifyError",
    "SourceError",
    "Spec",
    "SpecError",
    "StageError",
    "__version__",
    "examine_machine",
    "export_model",
    "first_spec",
    "list_operators",
    "read_spec",
    "show_model",
    "time_model",
    "verify_model",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module, metadata

    if name == "__version__":
        return metadata.version("onnxproof")
    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f"onnxproof.{home}"), name)
            return found
    raise AttributeError(f"module 'onnxproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
