"""Run a simplifier on a candidate; what it gives is a new candidate, and nothing more is believed.

onnxsim's ``ok`` is not read: with its default ``check_n=0`` it compares nothing. OnnxSlim's own
check is off, since ours follows.
"""

from __future__ import annotations

import time
from pathlib import Path

from onnxproof.errors import SimplifyError
from onnxproof.isolation.child import run_in_child
from onnxproof.records import Candidate, Run, SimplifierName, label_of
from onnxproof.simplify.simplifiers import SIMPLIFIERS


def simplify(run: Run, candidate: Candidate, simplifier: SimplifierName) -> Candidate:
    """What a simplifier makes of ``candidate``, saved beside it; its own file stays unchanged.

    Raises:
        SimplifyError: The simplifier raised, crashed, hung or ate the memory.
    """
    label = label_of(candidate.strategy, simplifier, candidate.variant)
    return run_in_child(
        simplify_in_child,
        run,
        candidate,
        simplifier,
        failed=SimplifyError,
        limits=run.spec.limits,
        log=Path(run.work.path("logs", f"simplify-{label}.log")),
        doing=f"simplify {candidate.label} with {simplifier}",
    )


def simplify_in_child(
    run: Run, candidate: Candidate, simplifier: SimplifierName = "onnxsim"
) -> Candidate:
    """In the child: simplify, name the dims again, stamp again, save."""
    import onnx

    from onnxproof.graph.external_data import on_graph_alone
    from onnxproof.graph.finalize import name_dims, save_candidate, stamp

    work, reference = run.work, run.loaded.reference
    start = time.monotonic()
    source = onnx.load(work.path(candidate.model.path), load_external_data=False)
    notes = onnx.ModelProto(metadata_props=source.metadata_props)
    model = on_graph_alone(source, SIMPLIFIERS[simplifier].simplify)
    # onnxsim notes its settings and every node it removed: half a kilobyte and more.
    del model.metadata_props[:]
    model.metadata_props.extend(notes.metadata_props)
    name_dims(model.graph.input, reference.inputs)
    name_dims(model.graph.output, reference.outputs)
    stamp(model, work.metadata)
    simplified = save_candidate(
        model,
        work,
        strategy=candidate.strategy,
        simplifier=simplifier,
        variant=candidate.variant,
        seconds=time.monotonic() - start,
        weights=candidate.weights,
    )
    # What the plain graph took from its exporter is in this one too.
    return simplified.model_copy(
        update={"specializations": candidate.specializations, "workarounds": candidate.workarounds}
    )
