"""What ``source.timm`` and ``source.torchvision`` share: a model by its name, without weights.

Both download pretrained weights when asked; here weights are a file, ``source.weights``, so that
the proof key knows their bytes.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from onnxproof.errors import LoadError, SourceError, one_line
from onnxproof.spec import Source

if TYPE_CHECKING:
    from torch import nn

DOWNLOADS: Final = ("pretrained", "pretrained_cfg", "weights", "weights_backbone")


def refuse_downloads(source: Source) -> None:
    """Nothing, unless ``source.kwargs`` asks for weights from the network.

    Raises:
        SourceError: It does.
    """
    if asked := sorted(set(DOWNLOADS) & set(source.kwargs)):
        raise SourceError(
            f"source.kwargs asks {source.kind} for {asked[0]}, which downloads; put the checkpoint "
            "in a file and name it in source.weights"
        )


def call_builder(source: Source, builder: Any, *args: Any, **fixed: Any) -> nn.Module:
    """What the package's builder makes of ``source.kwargs`` and the arguments given here.

    Raises:
        LoadError: The model refused its arguments.
    """
    try:
        module: nn.Module = builder(*args, **fixed, **source.kwargs)
    except Exception as error:
        text = one_line(error)
        raise LoadError(
            f"{source.kind} cannot build {source.target}: {type(error).__name__}: {text}; "
            "correct source.kwargs"
        ) from error
    return module


def no_such_model(source: Source, names: list[str]) -> SourceError:
    """The error for a name that is not among ``names``, with those that are close to it."""
    close = difflib.get_close_matches(source.target, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has {len(names)} others"
    return SourceError(f"{source.kind} has no model {source.target!r}; {hint}")
