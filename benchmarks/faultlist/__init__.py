"""Seeded faults, put into real exports where they would happen."""

from __future__ import annotations

from typing import Final

from benchmarks.faultlist.fault import Fault, Victim
from benchmarks.faultlist.files import FILES
from benchmarks.faultlist.shapes import SHAPES
from benchmarks.faultlist.stages import MODULES, PROGRAMS
from benchmarks.faultlist.values import VALUES
from benchmarks.faultlist.weights import WEIGHTS

GROUPS: Final = {
    "weights": WEIGHTS,
    "operators": VALUES,
    "shapes and contract": SHAPES,
    "files": FILES,
    "programs": PROGRAMS,
    "modules": MODULES,
}
FAULTS: Final = tuple(fault for group in GROUPS.values() for fault in group)
CONTROLS: Final = tuple(
    Fault(f"no fault: {subject}, {strategy}", "the export as it is", subject, "", inject,
          strategy)
    for subject, strategy, inject in dict.fromkeys(
        (fault.subject, fault.strategy, Victim.described) for fault in FAULTS if fault.inject
    )
)  # fmt: skip
"""Each export that a fault is put into, without one: what refuses it refuses too much."""

__all__ = ["CONTROLS", "FAULTS", "GROUPS", "Fault", "Victim"]
