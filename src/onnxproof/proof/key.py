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
from typing import Any, Final, NamedTuple

from onnxproof.artifact import sha256_of
from onnxproof.proof.versions import toolchain_versions
from onnxproof.records import SCHEMA_VERSION
from onnxproof.source.digest import fingerprint
from onnxproof.source.kind import kind_of
from onnxproof.source.optional_packages import require_package
from onnxproof.spec import Source, Spec
from onnxproof.usercode.allowed import Roots, find_file
from onnxproof.usercode.import_following import ReachedCode, reached_code, versions_of

NOT_IN_KEY: Final = {"promote", "gates", "limits"}
"""Parts of a spec that decide what is done with a proof, not what is in it."""


class KeyParts(NamedTuple):
    """What a proof key is the digest of; weights may be known only once the model was built."""

    weights_sha256: str | None
    others: dict[str, Any]  # code, versions and spec, as JSON
    names: frozenset[str]  # that the model's code imports

    def key(self, weights_sha256: str | None = None) -> str | None:
        """The proof key; None while nobody knows the weights.

        Args:
            weights_sha256: Digest of the built module's state dict, for a source without files.
        """
        weights = self.weights_sha256 or weights_sha256
        if weights is None:
            return None
        parts = {"weights": weights, **self.others}
        canonical = json.dumps(parts, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


def key_parts(
    spec: Spec,
    roots: Roots,
    allow: Sequence[str],
    *,
    local_code: bool,
    weights_sha256: str | None = None,
) -> KeyParts:
    """Digests of weights, model code, spec and toolchain; imports are followed here, once a run.

    Args:
        spec: What is to be proven.
        roots: Folders in which relative paths and local modules are looked up, in order.
        allow: Top-level packages that may be imported.
        local_code: Modules that lie below a root may be imported too.
        weights_sha256: Of a model of MLflow, what tells it from every other.

    Raises:
        SourceError: A file or module that the spec names is not there, or is not allowed.
    """
    code = _code_of(spec.source, roots, allow, local_code=local_code)
    metric = spec.dataset.modules if spec.dataset else set()
    for module in sorted(spec.export.modules | spec.benchmark.modules | metric):
        code |= reached_code(module, roots, allow, local_code=local_code)
    others = {
        "layout": SCHEMA_VERSION,
        "code": dict(sorted(code.digests.items())),
        "distributions": dict(sorted(code.versions.items())),
        "toolchain": toolchain_versions(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "dataset": sha256_of(find_file(spec.dataset.path, roots)) if spec.dataset else None,
        # Not sorted: the order of inputs and dims has a meaning.
        "spec": spec.model_dump(mode="json", exclude=NOT_IN_KEY),
    }
    return KeyParts(fingerprint(spec.source, roots) or weights_sha256, others, code.names)


def _code_of(
    source: Source, roots: Roots, allow: Sequence[str], *, local_code: bool
) -> ReachedCode:
    """What ``reached_code`` says of a module that the source names; else the kind's package."""
    kind = kind_of(source.kind)
    if (module := kind.python_module(source.target)) is not None:
        return reached_code(module, roots, allow, local_code=local_code)
    if kind.package is None:
        return ReachedCode({}, {}, frozenset())
    require_package(kind.package)
    return ReachedCode({}, versions_of({kind.package}), frozenset({kind.package}))
