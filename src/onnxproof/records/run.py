"""What every stage after load is given."""

from __future__ import annotations

from dataclasses import dataclass

from onnxproof.records.base import Work
from onnxproof.records.reference import Loaded
from onnxproof.spec import Spec


@dataclass(frozen=True, slots=True)
class Run:
    """One model being proven: what the spec asks, the run's folder, and what PyTorch said."""

    spec: Spec
    work: Work
    loaded: Loaded
