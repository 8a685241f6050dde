"""Run a simplifier on a candidate; what it gives is a new candidate, and nothing more is believed.

onnxsim's ``ok`` is not read: with its default ``check_n=0`` it compares nothing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from onnxproof.child import run_in_child
from onnxproof.errors import SimplifyError
from onnxproof.records import Candidate, Loaded, Work
from onnxproof.spec import Spec


class SimplifyRequest(NamedTuple):
    """What the child gets."""

    work: Work
    loaded: Loaded
    candidate: Candidate


def simplify(spec: Spec, work: Work, loaded: Loaded, candidate: Candidate) -> Candidate:
    """What onnxsim makes of ``candidate``, saved beside it; the candidate's file stays unchanged.

    Raises:
        SimplifyError: onnxsim raised, crashed, hung or ate the memory.
    """
    return run_in_child(
        simplify_in_child,
        SimplifyRequest(work, loaded, candidate),
        failed=SimplifyError,
        limits=spec.limits,
        log=Path(work.path("logs", f"simplify-{candidate.label}.log")),
        doing=f"simplify {candidate.label} with onnxsim",
    )


def simplify_in_child(request: SimplifyRequest) -> Candidate:
    """In the child: simplify, name the dims again, stamp again, save."""
    import onnx
    import onnxsim

    from onnxproof.graph import name_dims, save_candidate, stamp

    work, loaded, candidate = request
    start = time.monotonic()
    source = onnx.load(work.path(candidate.model.path))
    model, _ = onnxsim.simplify(source)
    # It notes its settings and every node it removed: half a kilobyte and more.
    del model.metadata_props[:]
    model.metadata_props.extend(source.metadata_props)
    name_dims(model.graph.input, loaded.reference.inputs)
    name_dims(model.graph.output, loaded.reference.outputs)
    stamp(model, work.metadata)
    return save_candidate(
        model,
        work,
        strategy=candidate.strategy,
        simplifier="onnxsim",
        seconds=time.monotonic() - start,
    )
