"""From what a person names to a spec, and the folder in which one run works.

Work folders are ``HOME/work/NAME/DATE-TIME``; the newest five of a model stay.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from onnxproof.errors import BadInput, SpecError
from onnxproof.records import Work
from onnxproof.spec import Spec, override, parse_spec, read_spec

KEPT_FOLDERS: Final = 5
OF_THE_CATALOG: Final = ("name", "source", "dataset")
"""Parts of an entry that a deployed run may not replace: what is loaded, and what is registered."""
DEFAULT_RANGE: Final = {"min": 1, "max": 16}
"""Of a dim that a bare ``module:callable`` mentions and no ``--dim`` declares."""


def resolve_spec(
    model: str, overrides: Sequence[str], catalog: Path, *, only_catalog: bool = False
) -> tuple[Spec, tuple[str, ...]]:
    """The spec that ``model`` names, and the folders its relative paths are looked up in.

    Args:
        model: A catalog name, a spec file, or ``module:callable`` with overrides that give inputs.
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
    if Path(model).suffix in (".yaml", ".yml"):
        roots = dict.fromkeys((str(Path(model).resolve().parent), here))
        return read_spec(Path(model), overrides), tuple(roots)
    if re.fullmatch(r"[\w.]+:[\w.]+", model):
        return _bare_spec(model, overrides), (here,)
    raise SpecError(
        f"{model!r} is no spec file (.yaml), no module:callable and no catalog name; "
        f"the catalog has {_names(catalog)}"
    )


def _refuse_other_model(overrides: Sequence[str]) -> None:
    """Whoever reaches the Prefect page may tune a catalog entry, not make another model of it."""
    for line in overrides:
        if (place := re.split(r"[.=\s]", line.strip())[0]) in OF_THE_CATALOG:
            raise SpecError(
                f"override {line!r}: a deployed run takes {place} from the catalog; "
                "add an entry there for another model"
            )


def catalog_names(catalog: Path) -> tuple[str, ...]:
    """Names of the catalog's entries, sorted."""
    return tuple(sorted(entry.stem for entry in catalog.glob("*.yaml")))


def open_work(
    spec: Spec,
    roots: tuple[str, ...],
    *,
    home: Path,
    allow: tuple[str, ...],
    local_code: bool,
    metadata: Mapping[str, str],
) -> Work:
    """A new, empty folder for one run of ``spec``; older ones beyond the newest five are removed.

    Raises:
        BadInput: The folder cannot be written.
    """
    models = home / "work" / spec.name
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = models / stamp
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(
            f"cannot make the work folder {folder}: {error.strerror}; "
            "set ONNXPROOF_HOME to a folder that can be written"
        ) from None
    for old in sorted(each for each in models.iterdir() if each.is_dir())[:-KEPT_FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)
    return Work(
        folder=str(folder),
        roots=roots,
        allow=allow,
        metadata=dict(metadata),
        local_code=local_code,
    )


def discard_work(work: Work) -> None:
    """Remove the folder of a run that failed on bad input: nothing in it is worth keeping."""
    shutil.rmtree(work.folder, ignore_errors=True)


def _bare_spec(factory: str, overrides: Sequence[str]) -> Spec:
    from onnxproof.dims import names_in
    from onnxproof.tensors import parse_line

    data: Any = override({"name": name_for(factory), "source": {"factory": factory}}, overrides)
    if not data.get("inputs"):
        raise SpecError(
            f"{factory} needs its inputs: add --input 'NAME=DTYPE[SHAPE]', "
            f"or write a spec with `onnxproof init {factory}`"
        )
    # What cannot be read is left to the schema, which says it better, with its place.
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        dims = data.setdefault("dims", {})
        for line in data["inputs"].values():
            fields = parse_line(line) if isinstance(line, str) else line
            for name in (each for size in fields.get("shape", ()) for each in names_in(size)):
                dims.setdefault(name, dict(DEFAULT_RANGE))
    return parse_spec(data, factory)


def name_for(factory: str) -> str:
    """A registered model name for ``module:callable``: the module's last part."""
    return re.sub(r"[^A-Za-z0-9]+", "-", factory.partition(":")[0].rsplit(".", 1)[-1]).strip("-")


def _names(catalog: Path) -> str:
    return ", ".join(catalog_names(catalog)) or f"nothing ({catalog} holds no .yaml)"
