"""Image models of timm, where it is installed: see docs/coverage.md for how, and why apart."""

from __future__ import annotations

import importlib
from typing import Any, Final

from torch import nn

from benchmarks.zoo.architecture import BATCH, Architecture


def build(model: str, **settings: Any) -> nn.Module:
    """A model of timm by its name, with random weights."""
    _let_torchvision_import()
    made: nn.Module = importlib.import_module("timm").create_model(model, **settings)
    return made


def _let_torchvision_import() -> None:
    """Declare the operators that torchvision's wheel for another torch does not bring.

    Its Python part names them while it is imported, and no model of the zoo calls any.
    """
    import torch

    for name in _OPERATORS:
        try:
            _LIBRARY.append(torch.library.Library("torchvision", "FRAGMENT"))
            _LIBRARY[-1].define(f"{name}(Tensor any) -> Tensor")
        except RuntimeError:
            continue  # it is there: the wheel fits this torch


_LIBRARY: Final[list[Any]] = []
"""An operator goes away with the object that defined it."""
_OPERATORS: Final = (
    "nms", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d", "qnms",
    "qroi_align", "box_iou_rotated", "_roi_align_backward", "_roi_pool_backward",
    "_ps_roi_align_backward", "_ps_roi_pool_backward", "_deform_conv2d_backward",
)  # fmt: skip


def _entry(name: str, model: str, side: int, **settings: Any) -> Architecture:
    return Architecture(
        name=name,
        family="timm",
        factory="benchmarks.zoo.timm_models:build",
        inputs={"x": f"float32[batch, 3, {side}, {side}]"},
        dims=BATCH,
        kwargs={"model": model, **settings},
        needs="timm",
    )


TIMM: Final = (
    _entry("timm-resnet", "resnet10t", 64),
    _entry("timm-maxvit-rmlp", "maxvit_rmlp_pico_rw_256", 64, img_size=64),
    _entry("timm-hiera", "hiera_tiny_224", 64, img_size=64),
    _entry("timm-eva02", "eva02_tiny_patch14_224", 56, img_size=56),
    _entry("timm-volo", "volo_d1_224", 64, img_size=64),
)
