"""Image classifiers and segmentation: our own small networks, and those of Transformers."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.zoo.architecture import BATCH, IMAGES, Architecture

PIXELS: Final = {"pixel_values": "float32[batch, 3, height, width]"}
FIXED: Final = {"pixel_values": "float32[batch, 3, 32, 32]"}
SMALL: Final[dict[str, Any]] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def _own(name: str, family: str, factory: str) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        factory=f"benchmarks.zoo.convolutional:{factory}",
        inputs={"image": "float32[batch, 3, height, width]"},
        dims=IMAGES,
    )


def _entry(
    name: str, family: str, model: str, *, sides: bool = True, **settings: Any
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        factory="benchmarks.zoo.text_models:build",
        inputs=PIXELS if sides else FIXED,
        dims=IMAGES if sides else BATCH,
        kwargs={"model": model, **settings},
    )


CONVOLUTIONS: Final = (
    _own("resnet", "convolution", "resnet"),
    _own("mobilenet-v3", "convolution", "mobilenet_v3"),
    _own("densenet", "convolution", "densenet"),
    _own("inception", "convolution", "inception"),
    _own("regnet", "convolution", "regnet"),
    _entry(
        "efficientnet", "convolution", "EfficientNetModel",
        width_coefficient=0.25, depth_coefficient=0.3, hidden_dim=320, image_size=64,
        initializer_range=0.55,
    ),
    _entry(
        "convnext", "convolution", "ConvNextForImageClassification",
        depths=[1, 1, 2, 1], hidden_sizes=[8, 16, 24, 32],
    ),
    _entry(
        "mobilevit", "convolution", "MobileViTModel",
        image_size=64, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 64],
        num_attention_heads=2, initializer_range=0.3,
    ),
)  # fmt: skip

TRANSFORMERS: Final = (
    _entry("vit", "vision transformer", "ViTForImageClassification", sides=False, **SMALL),
    _entry("deit", "vision transformer", "DeiTModel", sides=False, **SMALL),
    _entry("beit", "vision transformer", "BeitModel", sides=False, **SMALL),
    _entry("dinov2", "vision transformer", "Dinov2Model", **SMALL),
    _entry(
        "swin", "vision transformer", "SwinModel",
        image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4,
    ),
    _entry(
        "hiera", "vision transformer", "HieraModel", sides=False,
        embed_dim=8, image_size=[32, 32], patch_stride=[4, 4], patch_size=[7, 7],
        patch_padding=[3, 3], depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], masked_unit_size=[8, 8],
        embed_dim_multiplier=2.0, num_query_pool=3,
    ),
    _entry(
        "segformer", "segmentation", "SegformerForSemanticSegmentation",
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 2], hidden_sizes=[8, 16],
        patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2],
        decoder_hidden_size=16,
    ),
    _own("u-net", "segmentation", "UNet"),
)  # fmt: skip

VISION: Final = (*CONVOLUTIONS, *TRANSFORMERS)
