"""From what a person names to a spec."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from onnxproof.errors import SpecError
from onnxproof.source.kind import kind_of
from onnxproof.spec import Spec, override, parse_spec, read_spec
from onnxproof.spec.source import FACTORY, KINDS

OF_THE_CATALOG: Final = ("name", "source", "dataset")
"""Parts of an entry that a deployed run may not replace: what is loaded, and what is registered."""


DEFAULT_RANGE: Final = {"min": 1, "max": 16}
"""Of a dim that the inputs of a bare source mention and no ``--dim`` declares."""


HOW_TO_NAME: Final = f"KIND:TARGET with one of {', '.join(KINDS[1:])}"


def resolve_spec(
    model: str, overrides: Sequence[str], catalog: Path, *, only_catalog: bool = False
) -> tuple[Spec, tuple[str, ...]]:
    """The spec that ``model`` names, and the folders its relative paths are looked up in.

    Args:
        model: A catalog name, a spec file, or a source (``module:callable``, ``KIND:TARGET``) with
            overrides that give inputs.
        overrides: ``a.b=value`` each.
        catalog: Folder of ``NAME.yaml`` files.
        only_catalog: Refuse everything but catalog names, as a deployed flow does.

    Raises:
        SpecError: There is no such spec, or it is not valid.
    """
    here = str(Path.cwd())
    entry = catalog / f"{model}.yaml"
    if re.fullmatch(r"[\w-]+", model) and entry.is_file():
        if only_catalog:
            _refuse_other_model(overrides)
        return read_spec(entry, overrides), (here,)
    if only_catalog:
        raise SpecError(f"no model {model!r} in the catalog; it has {_names(catalog)}")
    if model.partition(":")[0] in KINDS:
        return _bare_spec(model, overrides), (here,)
    if Path(model).suffix in (".yaml", ".yml"):
        roots = dict.fromkeys((str(Path(model).resolve().parent), here))
        return read_spec(Path(model), overrides), tuple(roots)
    if _source_of(model):
        return _bare_spec(model, overrides), (here,)
    raise SpecError(
        f"{model!r} is no spec file (.yaml), no source (module:callable, or {HOW_TO_NAME}) "
        f"and no catalog name; the catalog has {_names(catalog)}"
    )


def _refuse_other_model(overrides: Sequence[str]) -> None:
    """Whoever reaches the Prefect page may tune a catalog entry, not make another model of it."""
    for line in overrides:
        if (target := re.split(r"[.=\s]", line.strip())[0]) in OF_THE_CATALOG:
            raise SpecError(
                f"override {line!r}: a deployed run takes {target} from the catalog; "
                "add an entry there for another model"
            )


def catalog_names(catalog: Path) -> tuple[str, ...]:
    """Names of the catalog's entries, sorted."""
    return tuple(sorted(entry.stem for entry in catalog.glob("*.yaml")))


def _bare_spec(model: str, overrides: Sequence[str]) -> Spec:
    data: Any = override(named_source(model), overrides)
    if not data.get("inputs"):
        raise SpecError(
            f"{model} needs its inputs: add --input 'NAME=DTYPE[SHAPE]', "
            f"or write a spec with `onnxproof init {model}`"
        )
    data["dims"] = fill_dims(data["inputs"], data.get("dims", {}))
    return parse_spec(data, model)


def named_source(model: str) -> dict[str, Any]:
    """Name and source of a spec for ``KIND:TARGET`` or ``module:callable``.

    Raises:
        SpecError: ``model`` is neither.
    """
    if (source := _source_of(model)) is None:
        raise SpecError(f"{model!r} names no source; write module:callable, or {HOW_TO_NAME}")
    return {"name": name_for(model), "source": source}


def _source_of(model: str) -> dict[str, str] | None:
    kind, colon, target = model.partition(":")
    if colon and kind in KINDS:
        return {kind: target}
    return {"factory": model} if re.fullmatch(FACTORY, model) else None


def name_for(model: str) -> str:
    """A registered model name for a source: what its module, file, folder or model is called."""
    kind, target = next(iter((_source_of(model) or {"factory": model}).items()))
    name = kind_of(kind).default_name(target)
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"


def fill_dims(inputs: object, dims: Any) -> Any:
    """``dims``, and the default range of every other dim that a line of ``inputs`` mentions.

    What cannot be read is left to the schema, which says it better, with its place.
    """
    from onnxproof.spec.dims import names_in
    from onnxproof.spec.inputs import parse_line

    with contextlib.suppress(ValueError, TypeError, AttributeError):
        dims = dict(dims)
        for line in inputs.values():  # type: ignore[attr-defined]
            fields = parse_line(line) if isinstance(line, str) else line
            for name in (dim for size in fields.get("shape", ()) for dim in names_in(size)):
                dims.setdefault(name, dict(DEFAULT_RANGE))
    return dims


def _names(catalog: Path) -> str:
    return ", ".join(catalog_names(catalog)) or f"nothing ({catalog} holds no .yaml)"
