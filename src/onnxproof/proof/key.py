"""The proof key: the same key means that nothing that could change the proof has changed.

It is computed without running anyone's code and without torch, so that a run with nothing to do
ends early. Code is followed through its import statements: a module that ``importlib`` loads by a
computed name is seen only as a distribution's version, if at all.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from onnxproof.artifact import sha256_of
from onnxproof.errors import SourceError
from onnxproof.source.digest import PACKAGES, fingerprint
from onnxproof.source.optional_packages import require_package
from onnxproof.spec import Source, Spec
from onnxproof.usercode.access import (
    ModuleFile,
    Roots,
    find_file,
    find_installed,
    find_local,
    locate_module,
)

TOOLCHAIN: Final = (
    "onnxproof",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxsim",
    "onnxslim",
    "onnxscript",
    "numpy",
)
_NEVER_TRUE: Final = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")
NOT_IN_KEY: Final = {"promote", "gates", "limits"}
"""Parts of a spec that decide what is done with a proof, not what is in it."""


def proof_key(
    spec: Spec,
    roots: Roots,
    allow: Sequence[str],
    *,
    local_code: bool,
    weights_sha256: str | None = None,
) -> str | None:
    """Digest of weights, model code, spec and toolchain; None while the weights are not known.

    Args:
        spec: What is to be proven.
        roots: Folders in which relative paths and local modules are looked up, in order.
        allow: Top-level packages that may be imported.
        local_code: Modules that lie below a root may be imported too.
        weights_sha256: Digest of the state dict, for a source without files, known once it has
            been built; of a model of MLflow, what tells it from every other.

    Raises:
        SourceError: A file or module that the spec names is not there, or is not allowed.
    """
    files, distributions = _code_of(spec.source, roots, allow, local_code=local_code)
    metric = spec.dataset.modules if spec.dataset else set()
    for module in sorted(spec.export.modules | spec.benchmark.modules | metric):
        more_files, more = reached_code(module, roots, allow, local_code=local_code)
        files, distributions = files | more_files, distributions | more
    state = fingerprint(spec.source, roots) or weights_sha256
    if state is None:
        return None
    dataset = sha256_of(find_file(spec.dataset.path, roots)) if spec.dataset else None
    parts = {
        "weights": state,
        "code": dict(sorted(files.items())),
        "distributions": dict(sorted(distributions.items())),
        "toolchain": toolchain_versions(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "dataset": dataset,
        # Not sorted: the order of inputs and dims has a meaning.
        "spec": spec.model_dump(mode="json", exclude=NOT_IN_KEY),
    }
    canonical = json.dumps(parts, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _code_of(
    source: Source, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """What ``reached_code`` says of a factory; the package whose classes another kind is."""
    if source.kind == "factory":
        module = source.place.partition(":")[0]
        return reached_code(module, roots, allow, local_code=local_code)
    if source.kind not in PACKAGES:
        return {}, {}
    require_package(source.kind)
    return {}, _versions({source.kind})


def reached_code(
    module: str, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Modules that ``module`` reaches within what may be imported, and what they use beyond it.

    Returns:
        Digest by module name, and version by distribution name.

    Raises:
        SourceError: ``module`` is not allowed or not there.
    """
    reached = reached_names(module, roots, allow, local_code=local_code)
    digests = {
        name: sha256_of(found.file) for name, found in reached.items() if found and found.file
    }
    beyond = {
        name
        for name, found in reached.items()
        if "." not in name and (found is None or not found.local)
    }
    return digests, _versions(beyond.difference(sys.stdlib_module_names))


def reached_names(
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
            waiting += [each for other in _imports(found) for each in _with_parents(other)]
    return reached


@functools.cache
def toolchain_versions() -> dict[str, str]:
    """Version by distribution, of those that take part in an export and are installed."""
    found = {}
    for name in TOOLCHAIN:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def package_version() -> str:
    """Version of onnxproof itself."""
    return metadata.version("onnxproof")


@functools.cache
def flow_version() -> str:
    """Package version plus git commit: ``0.1.0+g1a2b3c4``; with ``.dirty`` when a file is changed.

    Without a checkout the commit is that of ``ONNXPROOF_GIT_SHA``, which an image sets when it is
    built; without either it is the plain version.
    """
    commit = _checkout_commit() or os.environ.get("ONNXPROOF_GIT_SHA", "")[:7]
    return f"{package_version()}+g{commit}" if commit else package_version()


def _checkout_commit() -> str:
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return ""
    # git, not the files of .git: worktrees and packed refs are its own affair.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty=.dirty"]
    command += ["--exclude=*", "--abbrev=7"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


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


def _versions(modules: set[str]) -> dict[str, str]:
    """Version by name of every distribution that installed one of these top-level modules.

    As ``packages_distributions`` finds them, which takes 0.4 s to parse every list of files.
    """
    if not modules:
        return {}
    names = "|".join(map(re.escape, sorted(modules)))
    listed = re.compile(rf"^(?:{names})(?:/|\.py,|\.[^/,]*\.(?:so|pyd),|$)", re.MULTILINE)
    found: dict[str, str] = {}
    for each in metadata.distributions():
        files = each.read_text("RECORD") or each.read_text("top_level.txt") or ""
        if listed.search(files):
            found.setdefault(each.metadata["Name"], each.version)
    return found
