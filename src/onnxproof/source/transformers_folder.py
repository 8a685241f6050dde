"""The files of a Transformers folder, found without importing transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from onnxproof.errors import SourceError
from onnxproof.source.shards import INDEX, checkpoint_files
from onnxproof.usercode.allowed import Roots, find_file, find_folder

CONFIG: Final = "config.json"
WEIGHTS: Final = ("model.safetensors", f"model{INDEX}")
PICKLES: Final = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class ModelFolder(NamedTuple):
    """A config, and the checkpoint beside it; no weights where there is none."""

    config: Path
    weights: tuple[Path, ...]


def find_model_folder(target: str, roots: Roots) -> ModelFolder:
    """The files that ``target``, a folder or a config file, stands for.

    Raises:
        SourceError: They are not there, leave the roots, or are pickles.
    """
    if target.endswith(".json"):
        return ModelFolder(find_file(target, roots), ())
    folder = find_folder(target, roots)
    if not (folder / CONFIG).is_file():
        raise SourceError(
            f"the folder {target} has no {CONFIG}; source.transformers takes a folder that "
            "save_pretrained wrote, or a config file"
        )
    config = find_file(f"{target}/{CONFIG}", roots)
    for name in WEIGHTS:
        if (folder / name).is_file():
            return ModelFolder(config, checkpoint_files(f"{target}/{name}", roots))
    if pickled := next((name for name in PICKLES if (folder / name).is_file()), None):
        raise SourceError(
            f"the folder {target} has its weights in {pickled}, a pickle, and no safetensors; name "
            f"{target}/{CONFIG} in source.transformers and the .bin in source.weights, or save "
            "it again with save_pretrained"
        )
    return ModelFolder(config, ())
