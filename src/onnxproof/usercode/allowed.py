"""Which code and which files a spec may name, decided before anything of them runs."""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final, Literal

from onnxproof.errors import LoadError, SourceError

Roots = Sequence[str | Path]
HOW_TO_ALLOW: Final = "set ONNXPROOF_ALLOW=PACKAGE or pass --allow PACKAGE if you trust its code"


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A module that may be imported, found without running it; ``file`` is None when built in."""

    name: str
    file: Path | None
    is_package: bool
    local: bool


def import_factory(
    reference: str, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> Callable[..., object]:
    """The callable that ``reference`` names; its module is imported only if that is allowed.

    The roots are put first on ``sys.path`` and stay there, for what the factory imports later.

    Args:
        reference: ``module:callable``.
        roots: Folders in which relative paths and local modules are looked up, in order.
        allow: Top-level packages that may be imported.
        local_code: Modules that lie below a root may be imported too.

    Raises:
        SourceError: The module is not allowed or not there, or has no such callable.
        LoadError: The module raised while it was imported.
    """
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise SourceError(f"{reference!r} names no factory; write module:callable")
    found = locate_module(module_name, roots, allow, local_code=local_code)
    put_on_path(roots)
    module = _import(found, reference)
    return _attribute(module, attribute, reference)


def locate_module(name: str, roots: Roots, allow: Sequence[str], *, local_code: bool) -> ModuleFile:
    """Where the module ``name`` lies, if it may be imported; nothing is imported or run.

    Raises:
        SourceError: It may not be imported, or does not exist.
    """
    top = name.partition(".")[0]
    if top not in allow and not local_code:
        raise SourceError(_not_allowed(name, allow, roots, local_code=local_code))
    local = find_local(name, roots)
    if local is not None:
        return local
    parent, _, last = name.rpartition(".")
    if top not in allow:
        if find_local(top, roots) is None:
            raise SourceError(_not_allowed(name, allow, roots, local_code=local_code))
        raise SourceError(
            _no_module(name, last, [Path(root, *parent.split(".")) for root in roots])
        )
    installed = find_installed(name)
    if installed is None:
        beside = find_installed(parent)
        folders = [beside.file.parent] if beside and beside.file and beside.is_package else []
        raise SourceError(_no_module(name, last, folders))
    return installed


def find_file(path: str, roots: Roots) -> Path:
    """The file at ``path`` below the first root that has it; never one outside of the roots.

    Raises:
        SourceError: There is no such file, or the path or a symbolic link in it leaves the roots.
    """
    return _find("file", path, roots)


def find_folder(path: str, roots: Roots) -> Path:
    """The folder at ``path`` below the first root that has it; its files may still be links.

    Raises:
        SourceError: There is no such folder, or the path leaves the roots.
    """
    return _find("folder", path, roots)


def _find(kind: Literal["file", "folder"], path: str, roots: Roots) -> Path:
    inside = []
    for root in roots:
        base = Path(root).resolve()
        file = Path(base, path)
        if not file.resolve().is_relative_to(base):
            continue
        if file.is_file() if kind == "file" else file.is_dir():
            return file  # not resolved: a link's own name carries the suffix
        inside.append(file)
    below = ", ".join(str(root) for root in roots)
    if not inside:
        raise SourceError(f"{path} leaves {below}; copy the file there, links do not count")
    for file in inside:
        near = _near(file.name, _names(file.parent))
        if near:
            raise SourceError(f"no {kind} {path} below {below}; {near}")
    raise SourceError(f"no {kind} {path} below {below}; make it, or correct the path")


def find_local(name: str, roots: Roots) -> ModuleFile | None:
    """The module below the first root that has it.

    Raises:
        SourceError: It is a symbolic link to a place outside of that root.
    """
    parts = name.split(".")
    for root in roots if all(parts) else ():
        base = Path(root).resolve()
        package, file = Path(base, *parts, "__init__.py"), Path(base, *parts).with_suffix(".py")
        for path, is_package in ((package, True), (file, False)):
            if path.is_file():
                if not path.resolve().is_relative_to(base):
                    raise SourceError(
                        f"module {name} below {root} is a symbolic link that leaves it; "
                        "copy the code there"
                    )
                return ModuleFile(name, path.resolve(), is_package, local=True)
        folder = package.parent
        if folder.is_dir() and folder.resolve().is_relative_to(base) and _holds_code(folder):
            return ModuleFile(name, None, is_package=True, local=True)
    return None


def _holds_code(folder: Path) -> bool:
    # A namespace package has no __init__.py; but not every data folder is one.
    return any(folder.glob("*.py")) or any(folder.glob("*/*.py"))


def find_installed(name: str) -> ModuleFile | None:
    """The module that ``import name`` would take, found without running its parent packages."""
    found: ModuleSpec | None = None
    path: Iterable[str] | None = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        found = _ask_finders(".".join(parts[:end]), path)
        if found is None:
            return None
        path = found.submodule_search_locations or ()
    if found is None:
        return None
    file = Path(found.origin) if found.has_location and found.origin else None
    return ModuleFile(name, file, found.submodule_search_locations is not None, local=False)


def _ask_finders(name: str, path: Iterable[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find: Any = getattr(finder, "find_spec", None)
        found: ModuleSpec | None = find(name, path) if find else None
        if found is not None:
            return found
    return None


def put_on_path(roots: Roots) -> None:
    """Put the roots first on ``sys.path``."""
    for root in reversed([str(Path(folder).resolve()) for folder in roots]):
        if root in sys.path:
            sys.path.remove(root)
        sys.path.insert(0, root)
    importlib.invalidate_caches()


def _import(found: ModuleFile, reference: str) -> object:
    try:
        module = importlib.import_module(found.name)
    except Exception as error:
        raise LoadError(
            f"importing {found.name} for {reference} raised {type(error).__name__}: {error}"
        ) from error
    origin = getattr(module, "__file__", None)
    if found.file is not None and (origin is None or Path(origin).resolve() != found.file):
        taken = origin or "a built-in module"
        if found.local:
            raise SourceError(
                f"{found.name} should be {found.file}, and Python already has {taken} under that "
                "name; rename your module"
            )
    return module


def _attribute(module: object, attribute: str, reference: str) -> Callable[..., object]:
    found_object = module
    for name in attribute.split("."):
        if name.startswith("__") or not hasattr(found_object, name):
            public = [
                member
                for member in dir(found_object)
                if not member.startswith("_") and callable(getattr(found_object, member, None))
            ]
            hint = _near(name, public) or f"it has {_some(public)}"
            raise SourceError(f"{reference}: there is no {name!r} to call; {hint}")
        found_object = getattr(found_object, name)
        if inspect.ismodule(found_object):
            raise SourceError(f"{reference} goes into another module; name that one, and allow it")
    if not callable(found_object):
        raise SourceError(
            f"{reference} is {type(found_object).__name__}, not callable; name a function that "
            "returns the module"
        )
    if _is_from_stdlib(found_object) and not _is_from_stdlib(module):
        raise SourceError(f"{reference} is a part of Python, not a factory")
    return found_object


def _is_from_stdlib(thing: Any) -> bool:
    if not (inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)):
        return False  # an instance has the __module__ of its class, e.g. a functools.partial
    home = thing.__name__ if inspect.ismodule(thing) else thing.__module__
    return str(home).partition(".")[0] in sys.stdlib_module_names


def _not_allowed(name: str, allow: Sequence[str], roots: Roots, *, local_code: bool) -> str:
    top = name.partition(".")[0]
    known = [
        *allow,
        *(package for root in roots if local_code for package in _local_tops(Path(root))),
    ]
    where = f", nor is it below {', '.join(str(root) for root in roots)}" if local_code else ""
    near = _near(top, known)
    return (
        f"module {name} may not be loaded: package {top} is not allowed "
        f"(allowed: {', '.join(allow) or 'none'}){where}; {near or HOW_TO_ALLOW}"
    )


def _no_module(name: str, last: str, folders: Sequence[Path]) -> str:
    siblings = [sibling for folder in folders for sibling in _names(folder, ".py")]
    hint = _near(last, siblings) or "install it, or correct the name"
    return f"there is no module {name}; {hint}"


def _local_tops(root: Path) -> list[str]:
    packages = [path.parent.name for path in root.glob("*/__init__.py")]
    return [*_names(root, ".py"), *packages]


def _names(folder: Path, suffix: str = "") -> list[str]:
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.name.endswith(suffix)]
    return sorted(name.removesuffix(suffix) for name in names if not name.startswith((".", "_")))


def _near(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {close[0]}?" if close and close[0] != name else ""


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "") if names else "nothing public"
