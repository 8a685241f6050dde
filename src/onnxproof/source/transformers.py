"""``source.transformers``: a class of transformers, from a local folder or config.

Nothing is downloaded, code in the folder is not run, and what a checkpoint does not hold is an
error: transformers would fill it with random numbers and warn.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from onnxproof.artifact import sha256_of
from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.records import Work
from onnxproof.source.checkpoint import some_of
from onnxproof.source.kind import SourceKind, checkpoint_digest, file_name
from onnxproof.source.optional_packages import import_package
from onnxproof.source.shards import digest_of
from onnxproof.source.transformers_folder import CONFIG, find_model_folder
from onnxproof.spec import Source
from onnxproof.usercode.allowed import Roots

if TYPE_CHECKING:
    from torch import nn

OF_THE_MODEL: Final = ("attn_implementation", "dtype")
"""Among ``kwargs``, arguments of the class; the others are settings of the config."""


def build(source: Source, work: Work) -> nn.Module:
    """The model, its caches off and its outputs named.

    Weights are float32 unless ``kwargs`` has a ``dtype``: ONNX Runtime computes nothing in bfloat16
    on a CPU, which is how many checkpoints are saved.

    Raises:
        SourceError: A file, the class or a setting is not there, or weights are missing.
        LoadError: transformers cannot build it.
    """
    folder = find_model_folder(source.target, work.roots)
    transformers = import_package("transformers")
    settings = {name: value for name, value in source.kwargs.items() if name not in OF_THE_MODEL}
    arguments = {name: value for name, value in source.kwargs.items() if name in OF_THE_MODEL}
    arguments.setdefault("dtype", "float32")
    config = _config(transformers, folder.config, settings)
    wanted = _class(transformers, source, config)
    try:
        if folder.weights and source.weights is None:
            model, report = wanted.from_pretrained(
                str(folder.config.parent),
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # to name them; see _refuse_random
                **arguments,
            )
        else:
            make = getattr(wanted, "from_config", None) or wanted._from_config
            model, report = make(config, **arguments), {}
    except Exception as error:
        raise LoadError(
            f"{wanted.__name__} cannot be built from {source.target}: {_error_text(error)}; "
            "choose the class of the checkpoint in source.class, or correct source.kwargs"
        ) from error
    _refuse_random(report, wanted.__name__, source.target, config)
    module: nn.Module = model
    return module


def _config(transformers: Any, file: Path, settings: dict[str, Any]) -> Any:
    try:
        config, unknown = transformers.AutoConfig.from_pretrained(
            str(file),
            local_files_only=True,
            trust_remote_code=False,
            return_unused_kwargs=True,
            **settings,
        )
    except Exception as error:
        raise LoadError(
            f"transformers cannot read the config {file.name}: {_error_text(error)}; code in "
            "the folder is not run: use a factory for such a model"
        ) from error
    if unknown := sorted(unknown):
        raise SourceError(
            f"source.kwargs has {', '.join(unknown)}, and {type(config).__name__} has no such "
            "setting"
        )
    for part in _with_parts(config):
        if hasattr(part, "use_cache"):
            part.use_cache = False
        part.return_dict = True
    return config


def _with_parts(config: Any) -> Iterator[Any]:
    yield config
    for name in getattr(config, "sub_configs", ()):
        if (part := getattr(config, name, None)) is not None:
            yield from _with_parts(part)


def _class(transformers: Any, source: Source, config: Any) -> Any:
    name = source.class_ or next(iter(config.architectures or ()), "AutoModel")
    found = getattr(transformers, name, None)
    if hasattr(found, "from_pretrained") and (
        hasattr(found, "from_config") or hasattr(found, "_from_config")
    ):
        own = getattr(found, "config_class", None) or type(config)
        if not isinstance(config, own):
            raise SourceError(
                f"{name} takes a {own.__name__}, and {source.target} has a "
                f"{type(config).__name__}; choose a class of that family in source.class"
            )
        return found
    if found is not None:
        raise SourceError(f"transformers.{name} is no class of models; choose another source.class")
    names = [
        attribute
        for attribute in dir(transformers)
        if attribute.endswith("Model") or "For" in attribute
    ]
    close = difflib.get_close_matches(name, names, n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else "such as AutoModel"
    raise SourceError(
        f"transformers {transformers.__version__} has no class {name}; choose one in "
        f"source.class, {hint}"
    )


def _refuse_random(report: dict[str, Any], name: str, target: str, config: Any) -> None:
    """Raise SourceError where a part of the model did not come from the checkpoint."""
    missing = sorted(report.get("missing_keys", ()))
    other = sorted(key for key, *_ in report.get("mismatched_keys", ()))
    if not missing and not other:
        return
    faults = [
        f"{what}: {some_of(keys)}"
        for what, keys in (("missing", missing), ("other shape", other))
        if keys
    ]
    made_for = ", ".join(config.architectures or ()) or "no class that the config names"
    raise SourceError(
        f"the weights in {target} do not fill {name} ({'; '.join(faults)}), and the rest would be "
        f"random; they were saved from {made_for}"
    )


def _error_text(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error, 400)}"


def _digest(source: Source, roots: Roots) -> str | None:
    """Of the config and the checkpoint, which is ``source.weights`` or lies beside the config."""
    weights = checkpoint_digest(source, roots)
    folder = find_model_folder(source.target, roots)
    if weights is None and folder.weights:
        weights = digest_of(folder.weights)
    if weights is None:
        return None
    return hashlib.sha256(f"{sha256_of(folder.config)}{weights}".encode()).hexdigest()


def _name(target: str) -> str:
    path = Path(target)
    return file_name(str(path.parent if path.name == CONFIG else path), (".json",))


KIND: Final = SourceKind(build=build, default_name=_name, digest=_digest, package="transformers")
