"""Detection heads, the two towers of CLIP, and a model that joins an image with text.

ViLT is not here: it shuffles its patches by chance, in eval mode too, so it has no reference.
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.zoo.architecture import BATCH, IMAGES, Architecture
from benchmarks.zoo.architecture import TEXT as TEXT_DIMS
from benchmarks.zoo.text_models import TOKENS

TOWER: Final = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "projection_dim": 16,
}
IMAGE: Final = {"image_size": 32, "patch_size": 8}
WORDS: Final = {"vocab_size": 99, "max_position_embeddings": 64, "eos_token_id": 98}


def _own(name: str, factory: str) -> Architecture:
    return Architecture(
        name=name,
        family="detection",
        factory=f"benchmarks.zoo.detection:{factory}",
        inputs={"image": "float32[batch, 3, height, width]"},
        dims=IMAGES,
    )


def _entry(name: str, model: str, inputs: dict[str, str], **settings: Any) -> Architecture:
    text = any("seq" in line for line in inputs.values())
    return Architecture(
        name=name,
        family="vision and text",
        factory="benchmarks.zoo.text_models:build",
        inputs=inputs,
        dims=TEXT_DIMS if text else BATCH,
        kwargs={"model": model, **settings},
    )


HEADS: Final = (
    _own("detr-like", "DetrHead"),
    _own("yolo-like", "YoloHead"),
    _own("feature-pyramid", "PyramidHead"),
    _entry(
        "clip-text", "CLIPTextModelWithProjection",
        {"input_ids": TOKENS, "attention_mask": "int64[batch, seq] mask"}, **TOWER, **WORDS,
    ),
    _entry(
        "clip-vision", "CLIPVisionModelWithProjection",
        {"pixel_values": "float32[batch, 3, 32, 32]"}, **TOWER, **IMAGE,
    ),
    Architecture(
        name="vision-language",
        family="vision and text",
        factory="benchmarks.zoo.generative:VisionLanguage",
        inputs={
            "pixels": "float32[batch, 3, 32, 32]",
            "tokens": TOKENS,
        },
        dims=TEXT_DIMS,
    ),
)  # fmt: skip
