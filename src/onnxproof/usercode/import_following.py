"""Which modules and distributions a module reaches through its import statements."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Final, NamedTuple

from onnxproof.artifact import sha256_of
from onnxproof.errors import SourceError
from onnxproof.usercode.allowed import (
    ModuleFile,
    Roots,
    find_installed,
    find_local,
    locate_module,
)

_NEVER_TRUE: Final = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


class ReachedCode(NamedTuple):
    """What importing a module runs."""

    digests: dict[str, str]  # by module name, of those within what may be imported
    versions: dict[str, str]  # by distribution name, of what they use beyond it
    names: frozenset[str]  # every name that an import statement mentions

    def __or__(self, other: ReachedCode) -> ReachedCode:
        """Both together."""
        return ReachedCode(
            self.digests | other.digests,
            self.versions | other.versions,
            self.names | other.names,
        )


def reached_code(
    module: str, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> ReachedCode:
    """What ``module`` reaches by import statements.

    Raises:
        SourceError: ``module`` is not allowed or not there.
    """
    reached = _reached_names(module, roots, allow, local_code=local_code)
    digests = {
        name: sha256_of(found.file) for name, found in reached.items() if found and found.file
    }
    beyond = {
        name
        for name, found in reached.items()
        if "." not in name and (found is None or not found.local)
    }
    versions = versions_of(beyond.difference(sys.stdlib_module_names))
    return ReachedCode(digests, versions, frozenset(reached))


def _reached_names(
    module: str, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> dict[str, ModuleFile | None]:
    """Every name that ``module`` reaches by import statements, with its file where followed.

    Raises:
        SourceError: ``module`` is not allowed or not there.
    """
    start = locate_module(module, roots, allow, local_code=local_code)
    reached: dict[str, ModuleFile | None] = {}
    waiting = list(_with_parents(start.name))
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        found = reached[name] = _follow(name, roots, allow)
        if found is not None:
            waiting += [parent for other in _imports(found) for parent in _with_parents(other)]
    return reached


def _follow(name: str, roots: Roots, allow: Sequence[str]) -> ModuleFile | None:
    try:
        local = find_local(name, roots)
    except SourceError:
        return None  # a link out of the roots: what it is will be said when it is imported
    if local is not None or name.partition(".")[0] not in allow:
        return local
    return find_installed(name)


def _with_parents(name: str) -> Iterator[str]:
    """``a``, ``a.b`` and ``a.b.c`` for ``a.b.c``: importing the last runs all of them."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _imports(module: ModuleFile) -> Iterator[str]:
    """Names in the module's import statements; some may be attributes and no modules."""
    if module.file is None or module.file.suffix != ".py":
        return
    try:
        tree = ast.parse(module.file.read_bytes())
    except (SyntaxError, ValueError):
        return  # the import will say what is wrong
    package = module.name if module.is_package else module.name.rpartition(".")[0]
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else ()), *filter(None, [node.module])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node except those below ``if TYPE_CHECKING``, which only type checkers follow."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in _NEVER_TRUE:
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def versions_of(modules: set[str]) -> dict[str, str]:
    """Version by name of every distribution that installed one of these top-level modules.

    As ``packages_distributions`` finds them, which takes 0.4 s to parse every list of files.
    """
    if not modules:
        return {}
    names = "|".join(map(re.escape, sorted(modules)))
    listed = re.compile(rf"^(?:{names})(?:/|\.py,|\.[^/,]*\.(?:so|pyd),|$)", re.MULTILINE)
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        files = distribution.read_text("RECORD") or distribution.read_text("top_level.txt") or ""
        if listed.search(files):
            found.setdefault(distribution.metadata["Name"], distribution.version)
    return found
