"""Build the module once, and save what it says: the reference for every later stage."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.errors import LoadError
from onnxproof.isolation.child import run_in_child
from onnxproof.records import Loaded, Metric, Work
from onnxproof.spec import Spec

if TYPE_CHECKING:
    from onnxproof.runtime import Precision


def load_reference(spec: Spec, work: Work) -> Loaded:
    """The module's facts and its reference, saved below ``work``'s folder.

    Raises:
        SourceError: Code or weights cannot be used as the spec names them.
        LoadError: The factory or forward failed, hung, crashed or ate the memory.
        ReferenceRefused: PyTorch's own outputs are no reference.
    """
    return run_in_child(
        build_reference,
        spec,
        work,
        failed=LoadError,
        limits=spec.limits,
        log=Path(work.path("logs", "load.log")),
        doing="build the module and run it in PyTorch",
    )


def build_reference(spec: Spec, work: Work) -> Loaded:
    """In the child: build, digest, run over the grid."""
    from onnxproof.reference.determinism import refuse_nondeterminism
    from onnxproof.reference.edge_samples import ask_edges
    from onnxproof.reference.noise_floor import measure_noise
    from onnxproof.reference.observed_dtypes import watch
    from onnxproof.reference.outputs import run
    from onnxproof.reference.reduced_precision import measure_rounding
    from onnxproof.reference.sample_writer import ReferenceWriter
    from onnxproof.reference.weight_index import StateWriter
    from onnxproof.samples.dataset import measure_metric, rows_in
    from onnxproof.source.module import build_module, state_digest

    start = time.monotonic()
    source = build_module(spec, work)
    weights_sha256, weights_bytes = state_digest(source.model)
    state = StateWriter(source.model)
    writer = ReferenceWriter(source, work, refuse_nondeterminism(source))
    metric = None
    if spec.dataset is not None:
        score, rows = measure_metric(
            spec, work, lambda feed: run(source, feed, {"dataset rows": rows_in(feed)})
        )
        better = spec.dataset.better_scores
        metric = Metric(name=spec.dataset.metric, rows=rows, pytorch=score, better=better)
    began = time.monotonic()
    reference = writer.write(metric)
    seconds = time.monotonic() - began
    rounding = measure_rounding(source, work, reference, precisions(spec), seconds)
    observed_dtypes = watch(source)
    edges = ask_edges(source, reference)
    state.write(work)
    parameters = sum(parameter.numel() for parameter in source.module.parameters())
    floor = measure_noise(source, work, reference, weights_bytes, seconds)
    reference = writer.add_edges(reference, edges, weights_bytes)
    noted = {"noise": floor.noise, "noise_missing": floor.missing, "rounding": rounding}
    return Loaded(
        module_class=f"{type(source.model).__module__}.{type(source.model).__qualname__}",
        parameters=parameters,
        weights_sha256=weights_sha256,
        weights_bytes=weights_bytes,
        call=source.model_call,
        computes_in=observed_dtypes.computes_in,
        batch_statistics=observed_dtypes.batch_statistics,
        reference=reference.model_copy(update=noted),
        seconds=time.monotonic() - start,
    )


def precisions(spec: Spec) -> list[Precision]:
    """Below float32, that the providers' products may round to, those of other machines too."""
    from onnxproof.runtime import precision_of

    others = (provider for there in spec.benchmark.elsewhere for provider in there.providers)
    providers = (*spec.benchmark.providers, *others)
    found = {precision_of(provider.name, provider.options) for provider in providers}
    return sorted(found - {"float32"})
