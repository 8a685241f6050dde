"""The proof key: the same key means that nothing that could change the proof has changed.

It is computed without running anyone's code and without torch, so that a run with nothing to do
ends early. Code is followed through its import statements: a module that ``importlib`` loads by a
computed name is seen only as a distribution's version, if at all.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from typing import Final

from onnxproof.artifact import sha256_of
from onnxproof.proof.versions import toolchain_versions
from onnxproof.source.digest import PACKAGES, fingerprint
from onnxproof.source.optional_packages import require_package
from onnxproof.spec import Source, Spec
from onnxproof.usercode.access import (
    Roots,
    find_file,
)
from onnxproof.usercode.imports import _versions, reached_code

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
        module = source.target.partition(":")[0]
        return reached_code(module, roots, allow, local_code=local_code)
    if source.kind not in PACKAGES:
        return {}, {}
    require_package(source.kind)
    return {}, _versions({source.kind})
