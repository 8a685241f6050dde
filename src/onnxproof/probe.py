"""A first spec for a factory: build its module, look at it, and try which inputs it takes."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.child import run_in_child
from onnxproof.errors import LoadError, one_line
from onnxproof.records import Work
from onnxproof.spec import Limits, parse_spec
from onnxproof.workspace import DEFAULT_RANGE, name_for

if TYPE_CHECKING:
    import torch

TOKEN_NAMES: Final = ("input_ids", "tokens", "token_ids", "ids")
IMAGE_SIZES: Final = (224, 32, 28, 8, 256, 299, 64)
LONGEST_TRIED: Final = 512
HEADER: Final = """\
# A first spec for {factory}, as `onnxproof init` found it.
# Widen or narrow dims to what your consumers send: the proof covers these ranges and no more.
"""


class ProbeRequest(NamedTuple):
    """What the child gets."""

    factory: str
    inputs: dict[str, str]
    dims: dict[str, dict[str, int]]
    work: Work


class Guess(NamedTuple):
    """Inputs that forward took, and the dims in them."""

    inputs: dict[str, str]
    dims: dict[str, dict[str, int]]


def first_spec(
    factory: str,
    inputs: Mapping[str, str],
    roots: tuple[str, ...],
    allow: tuple[str, ...],
    *,
    dims: Mapping[str, dict[str, int]] | None = None,
    local_code: bool = True,
) -> str:
    """YAML of a spec that forward has been seen to run with.

    Args:
        factory: ``module:callable`` that builds the module without arguments.
        inputs: Lines of the spec, where the person knows them; guessed when empty.
        roots: Folders whose modules may be imported.
        allow: Packages that may be imported.
        dims: Ranges of dims, where the person knows them.
        local_code: Whether the roots' own modules are allowed.

    Raises:
        LoadError: The factory failed, or forward took none of the guesses.
        SourceError: The factory's code is not allowed or not there.
    """
    import yaml

    with tempfile.TemporaryDirectory() as folder:
        work = Work(folder=folder, roots=roots, allow=allow, metadata={}, local_code=local_code)
        guess = run_in_child(
            probe_in_child,
            ProbeRequest(factory, dict(inputs), dict(dims or {}), work),
            failed=LoadError,
            limits=Limits(),
            log=Path(folder, "probe.log"),
            doing="build the module and try inputs",
        )
    spec: dict[str, Any] = {"name": name_for(factory), "source": {"factory": factory}}
    spec["inputs"] = guess.inputs
    if guess.dims:
        spec["dims"] = guess.dims
    parse_spec(spec, factory)
    text: str = yaml.safe_dump(spec, sort_keys=False, default_flow_style=None, width=100)
    return HEADER.format(factory=factory) + text


def probe_in_child(request: ProbeRequest) -> Guess:
    """In the child: the first guess that forward takes, at its example and its smallest sizes."""
    import inspect

    module = _build(request)
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    known = {each.name for each in parameters}
    needed += [name for name in ("attention_mask",) if name in known and name not in needed]
    tried = []
    for guess in _guesses(module, needed, request):
        if (fault := _fault(module, guess, request)) is None:
            return _widen(module, guess, request)
        tried.append(f"{', '.join(f'{n}: {line}' for n, line in guess.inputs.items())} ({fault})")
    found = "; ".join(tried[-2:]) or "nothing to try: forward's inputs tell nothing of their shape"
    raise LoadError(
        f"cannot guess the inputs of {request.factory}, whose forward takes "
        f"{', '.join(needed) or 'no parameter by name'}. "
        f"Tried {found}. Give them: --input 'NAME=DTYPE[SHAPE]'"
    )


def _build(request: ProbeRequest) -> torch.nn.Module:
    import torch

    from onnxproof.sources import import_factory

    work = request.work
    factory = import_factory(request.factory, work.roots, work.allow, local_code=work.local_code)
    module = factory()
    if not isinstance(module, torch.nn.Module):
        raise LoadError(
            f"factory {request.factory} returned {type(module).__name__}, not a torch.nn.Module"
        )
    return module.eval()


def _ranges(inputs: dict[str, str], request: ProbeRequest) -> dict[str, dict[str, int]]:
    from onnxproof.dims import names_in
    from onnxproof.tensors import parse_line

    dims = dict(request.dims)
    for line in inputs.values():
        with contextlib.suppress(ValueError):  # the schema says it better, with its place
            for name in (each for size in parse_line(line)["shape"] for each in names_in(size)):
                dims.setdefault(name, dict(DEFAULT_RANGE))
    return dims


def _guesses(module: torch.nn.Module, names: list[str], request: ProbeRequest) -> Iterator[Guess]:
    """Likely inputs, from forward's parameter names and the first layer that has weights."""
    if request.inputs:
        yield Guess(request.inputs, _ranges(request.inputs, request))
        return
    choices = [list(_lines(name, module)) for name in names]
    for lines in itertools.product(*choices) if names else ():
        inputs = dict(zip(names, lines, strict=True))
        yield Guess(inputs, _ranges(inputs, request))


def _lines(name: str, module: torch.nn.Module) -> Iterator[str]:
    import torch

    leaf = next((each for each in module.modules() if list(each.parameters(recurse=False))), None)
    vocabulary = next(
        (each.num_embeddings for each in module.modules() if isinstance(each, torch.nn.Embedding)),
        None,
    )
    if name.endswith("mask"):
        yield "int64[batch, seq] mask"
    elif name == "token_type_ids":
        yield "int64[batch, seq] in 0..1"
    elif vocabulary and (name in TOKEN_NAMES or isinstance(leaf, torch.nn.Embedding)):
        yield f"int64[batch, seq] in 0..{vocabulary - 1}"
    elif isinstance(leaf, torch.nn.Conv2d):
        for size in IMAGE_SIZES:
            yield f"float32[batch, {leaf.in_channels}, {size}, {size}]"
    elif isinstance(leaf, torch.nn.Conv1d):
        yield f"float32[batch, {leaf.in_channels}, 256]"
    elif isinstance(leaf, torch.nn.Linear):
        yield f"float32[batch, {leaf.in_features}]"
        yield f"float32[batch, seq, {leaf.in_features}]"


def _fault(module: torch.nn.Module, guess: Guess, request: ProbeRequest) -> str | None:
    """Why forward does not take the guess; None when it does."""
    from onnxproof.grid import example_sizes, label
    from onnxproof.inputs import draw
    from onnxproof.module import source_module

    data = {"name": "probe", "source": {"factory": request.factory}, **guess._asdict()}
    spec = parse_spec(data, request.factory)
    source = source_module(module, spec)
    example = example_sizes(spec.dims)
    if "seq" in spec.dims and not request.inputs:
        example["seq"] = spec.dims["seq"].largest  # a table of positions may end before it
    for sizes in (example, {name: dim.smallest for name, dim in spec.dims.items()}):
        try:
            source(draw(spec.inputs, sizes, 0, 0))
        except Exception as error:
            text = one_line(error, 160)
            return f"{type(error).__name__} at {label(sizes)}: {text}"
    return None


def _widen(module: torch.nn.Module, guess: Guess, request: ProbeRequest) -> Guess:
    """Raise the guessed ``seq`` as far as forward goes with it, by doubling."""
    if "seq" not in guess.dims or request.inputs or "seq" in request.dims:
        return guess
    while guess.dims["seq"]["max"] < LONGEST_TRIED:
        seq = {"min": 1, "max": guess.dims["seq"]["max"] * 2}
        longer = guess._replace(dims={**guess.dims, "seq": seq})
        if _fault(module, longer, request):
            break
        guess = longer
    return guess
