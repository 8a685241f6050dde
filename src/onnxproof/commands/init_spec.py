"""A first spec for a source: build its module, look at it, and try which inputs it takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.errors import LoadError, one_line
from onnxproof.isolation.child import run_in_child
from onnxproof.pipeline.resolve_spec import fill_dims, named_source
from onnxproof.records import Work
from onnxproof.source.likely_inputs import InputProposal, proposals, wanted_inputs
from onnxproof.source.mlflow import FOLDER
from onnxproof.spec import Limits, Source, override, parse_spec

if TYPE_CHECKING:
    import torch

LONGEST_TRIED: Final = 512
HEADER: Final = """\
# A first spec for {model}, as `onnxproof init` found it.
# Widen or narrow dims to what your consumers send: the proof covers these ranges and no more.
"""


class ProbeRequest(NamedTuple):
    """What the child gets."""

    model: str
    source: Source
    written: dict[str, Any]  # what the person gave of the spec
    work: Work


def first_spec(
    model: str,
    inputs: Mapping[str, str],
    roots: tuple[str, ...],
    allow: tuple[str, ...],
    *,
    dims: Mapping[str, dict[str, int]] | None = None,
    overrides: Sequence[str] = (),
    local_code: bool = True,
) -> str:
    """YAML of a spec that forward has been seen to run with.

    Args:
        model: ``module:callable``, or ``KIND:TARGET`` for another kind of source.
        inputs: Lines of the spec, where the person knows them; guessed when empty.
        roots: Folders whose modules may be imported, and in which files are looked up.
        allow: Packages that may be imported.
        dims: Ranges of dims, where the person knows them.
        overrides: Other values of the spec, ``a.b=value`` each.
        local_code: Whether the roots' own modules are allowed.

    Raises:
        SpecError: ``model`` names no source, or a value is not valid.
        LoadError: The source failed, or forward took none of the guesses.
        SourceError: The source's code or file is not allowed or not there.
        ServerUnreachable: MLflow has the model and does not answer.
    """
    import yaml

    given = {**named_source(model), "inputs": dict(inputs), "dims": dict(dims or {})}
    written: Any = override(given, overrides)
    source = _source_in(written, model)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder=folder, roots=roots, allow=allow, metadata={}, local_code=local_code)
        _fetch(source, work)
        proposal = run_in_child(
            probe_in_child,
            ProbeRequest(model, source, written, work),
            failed=LoadError,
            limits=Limits(),
            log=Path(folder, "probe.log"),
            doing="build the module and try inputs",
        )
    spec = {**written, **proposal._asdict()}
    if not proposal.dims:
        spec.pop("dims")
    parse_spec(spec, model)
    # Inputs have a line each: their texts are long, and YAML would break them in two.
    parts = [
        yaml.safe_dump(
            {key: value},
            sort_keys=False,
            default_flow_style=None if isinstance(value, dict) and key != "inputs" else False,
            width=100,
        )
        for key, value in spec.items()
    ]
    return HEADER.format(model=model) + "".join(parts)


def _source_in(written: Any, model: str) -> Source:
    """The source, so that what is wrong with it is said before anything is built."""
    stand_in = {"name": written["name"], "source": written["source"], "inputs": {"x": "float32[1]"}}
    if not isinstance(written["dims"], dict):
        stand_in["dims"] = written["dims"]
    return parse_spec(stand_in, model).source


def _fetch(source: Source, work: Work) -> None:
    if source.mlflow is not None:
        from onnxproof.tracking import fetch_source, pin

        fetch_source(pin(source.mlflow).uri, Path(work.path(FOLDER)))


def probe_in_child(request: ProbeRequest) -> InputProposal:
    """In the child: the first guess that forward takes, at its example and its smallest sizes."""
    from onnxproof.source.module import unfitted_module

    module = unfitted_module(request.source, request.work)
    tried = []
    for proposal in _with_dims(module, request.written):
        if (fault := _fault(module, proposal, request)) is None:
            return _widen(module, proposal, request)
        tried.append(
            f"{', '.join(f'{n}: {line}' for n, line in proposal.inputs.items())} ({fault})"
        )
    found = "; ".join(tried[-2:]) or "nothing to try: forward's inputs tell nothing of their shape"
    raise LoadError(
        f"cannot guess the inputs of {request.model}, whose forward takes "
        f"{', '.join(wanted_inputs(module)) or 'no parameter by name'}. "
        f"Tried {found}. Give them: --input 'NAME=DTYPE[SHAPE]'"
    )


def _with_dims(module: torch.nn.Module, written: dict[str, Any]) -> Iterator[InputProposal]:
    """What the person gave, or else the guesses; each dim with a range, the person's first."""
    found = [InputProposal(written["inputs"], {})] if written["inputs"] else proposals(module)
    for inputs, dims in found:
        yield InputProposal(inputs, fill_dims(inputs, {**dims, **written["dims"]}))


def _fault(module: torch.nn.Module, proposal: InputProposal, request: ProbeRequest) -> str | None:
    """Why forward does not take the guess; None when it does."""
    from onnxproof.samples.generate import draw
    from onnxproof.samples.grid import example_sizes, label
    from onnxproof.source.module import source_module

    spec = parse_spec({**request.written, **proposal._asdict()}, request.model)
    source = source_module(module, spec)
    example = example_sizes(spec.dims)
    if "seq" in spec.dims and not request.written["inputs"]:
        example["seq"] = spec.dims["seq"].largest  # a table of positions may end before it
    for sizes in (example, {name: dim.smallest for name, dim in spec.dims.items()}):
        try:
            source(draw(spec.inputs, sizes, 0, 0))
        except Exception as error:
            text = one_line(error, 160)
            return f"{type(error).__name__} at {label(sizes)}: {text}"
    return None


def _widen(
    module: torch.nn.Module, proposal: InputProposal, request: ProbeRequest
) -> InputProposal:
    """Raise the guessed ``seq`` as far as forward goes with it, by doubling."""
    written = request.written
    if "seq" not in proposal.dims or written["inputs"] or "seq" in written["dims"]:
        return proposal
    while proposal.dims["seq"]["max"] < LONGEST_TRIED:
        seq = {**proposal.dims["seq"], "max": proposal.dims["seq"]["max"] * 2}
        longer = proposal._replace(dims={**proposal.dims, "seq": seq})
        if _fault(module, longer, request):
            break
        proposal = longer
    return proposal
