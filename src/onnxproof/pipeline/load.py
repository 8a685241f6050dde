"""The stage load: fetch what MLflow keeps, then make the reference."""

from __future__ import annotations

from pathlib import Path

from onnxproof.progress import say
from onnxproof.records import Loaded, Work
from onnxproof.reference.stage import load_reference
from onnxproof.source.mlflow import FOLDER
from onnxproof.spec import Source, Spec
from onnxproof.tracking import fetch_source


def load_source(spec: Spec, work: Work) -> Loaded:
    """The module's facts and its reference, saved below ``work``'s folder.

    Raises:
        SourceError: Code or weights cannot be used as the spec names them.
        LoadError: The factory or forward failed, hung, crashed or ate the memory.
        ReferenceRefused: PyTorch's own outputs are no reference.
        ServerUnreachable: MLflow has the model and does not answer.
    """
    fetch_model(spec.source, work)
    return load_reference(spec, work)


def fetch_model(source: Source, work: Work) -> None:
    """Put a model of MLflow, at a pinned address, below the work folder; others are files already.

    Raises:
        SourceError: There is no model at the address.
        ServerUnreachable: MLflow does not answer.
    """
    if source.mlflow is not None:
        say("load", f"fetch {source.mlflow}")
        fetch_source(source.mlflow, Path(work.path(FOLDER)))
