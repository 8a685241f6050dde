"""A variant of the source: the same weights in a module that is written, or called, differently."""

from __future__ import annotations

from onnxproof.errors import ExportError
from onnxproof.records import Work
from onnxproof.source.module import SourceModule, build_module, bytes_of, state_digest
from onnxproof.spec import Spec


def build_variant(spec: Spec, work: Work, variant: str, weights_sha256: str) -> SourceModule:
    """The module as ``source.variants`` has it; the declared one for the empty name.

    Raises:
        ExportError: Its state dict is not that of the declared source, byte for byte.
        OnnxproofError: As ``build_module``.
    """
    varied = spec.model_copy(update={"source": spec.source.variant(variant)})
    source = build_module(varied, work)
    if variant and state_digest(source.model)[0] != weights_sha256:
        raise ExportError(
            f"variant {variant!r} has another state dict than the declared source: "
            f"{_difference(spec, work, source)}. A variant may change how the module computes, not "
            "its weights; remove it from source.variants, or give it a spec of its own"
        )
    return source


def _difference(spec: Spec, work: Work, varied: SourceModule) -> str:
    """The first key, in order, that only one of both has or that holds other bytes."""
    ours, theirs = varied.model.state_dict(), build_module(spec, work).model.state_dict()
    for key in sorted(ours.keys() ^ theirs.keys()):
        return f"{key} is in {'it' if key in ours else 'the declared source'} only"
    for key in sorted(ours):
        mine, other = ours[key], theirs[key]
        if mine.shape != other.shape or mine.dtype != other.dtype:
            return (
                f"{key} is {mine.dtype} {list(mine.shape)}, there {other.dtype} {list(other.shape)}"
            )
        if bytes_of(mine) != bytes_of(other):
            return f"{key} has other values"
    return "and each build of it has another"
