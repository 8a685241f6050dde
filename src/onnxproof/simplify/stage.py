"""Run a simplifier on a candidate; what it gives is a new candidate, and nothing more is believed.

onnxsim's ``ok`` is not read: with its default ``check_n=0`` it compares nothing. OnnxSlim's own
check is off, since ours follows.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from onnxproof.errors import SimplifyError
from onnxproof.isolation.child import run_in_child
from onnxproof.records import Candidate, Loaded, Simplifier, Work, label_of
from onnxproof.spec import Spec

if TYPE_CHECKING:
    import onnx


class SimplifyRequest(NamedTuple):
    """What the child gets."""

    work: Work
    loaded: Loaded
    candidate: Candidate
    simplifier: Simplifier = "onnxsim"


def simplify(
    spec: Spec, work: Work, loaded: Loaded, candidate: Candidate, simplifier: Simplifier = "onnxsim"
) -> Candidate:
    """What a simplifier makes of ``candidate``, saved beside it; its own file stays unchanged.

    Raises:
        SimplifyError: The simplifier raised, crashed, hung or ate the memory.
    """
    label = label_of(candidate.strategy, simplifier, candidate.variant)
    return run_in_child(
        simplify_in_child,
        SimplifyRequest(work, loaded, candidate, simplifier),
        failed=SimplifyError,
        limits=spec.limits,
        log=Path(work.path("logs", f"simplify-{label}.log")),
        doing=f"simplify {candidate.label} with {simplifier}",
    )


def simplify_in_child(request: SimplifyRequest) -> Candidate:
    """In the child: simplify, name the dims again, stamp again, save."""
    import onnx

    from onnxproof.graph.external_data import on_graph_alone
    from onnxproof.graph.finalize import name_dims, save_candidate, stamp

    work, loaded, candidate, simplifier = request
    start = time.monotonic()
    source = onnx.load(work.path(candidate.model.path), load_external_data=False)
    notes = onnx.ModelProto(metadata_props=source.metadata_props)
    model = on_graph_alone(source, lambda graph: _changed(graph, simplifier))
    # onnxsim notes its settings and every node it removed: half a kilobyte and more.
    del model.metadata_props[:]
    model.metadata_props.extend(notes.metadata_props)
    name_dims(model.graph.input, loaded.reference.inputs)
    name_dims(model.graph.output, loaded.reference.outputs)
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


def _changed(graph: onnx.ModelProto, simplifier: Simplifier) -> onnx.ModelProto:
    if simplifier == "onnxsim":
        import onnxsim

        simplified: onnx.ModelProto = onnxsim.simplify(graph)[0]
        return simplified
    if simplifier == "onnxslim":
        import onnxslim

        slim: onnx.ModelProto = onnxslim.slim(graph)
        return slim
    from onnxproof.simplify.attention import rewrite

    return rewrite(graph)
