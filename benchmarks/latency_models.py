"""Models that ``benchmarks.latency`` times: MiniLM with its weights, the others from a config."""

from __future__ import annotations

from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    ConvNextConfig,
    ConvNextModel,
    PretrainedConfig,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
    WhisperConfig,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from examples.minilm import WEIGHTS, SentenceEncoder, model_folder


class LastHiddenState(nn.Module):
    """A model of transformers, asked for its one tensor that matters here."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Images or spectra, in."""
        hidden: torch.Tensor = self.model(pixels).last_hidden_state
        return hidden


def _with(config: PretrainedConfig, attn_implementation: str) -> Any:
    config._attn_implementation = attn_implementation
    return config


def minilm(attn_implementation: str = "sdpa") -> nn.Module:
    """all-MiniLM-L6-v2."""
    config = _with(BertConfig.from_pretrained(model_folder()), attn_implementation)
    encoder = SentenceEncoder(BertModel(config, add_pooling_layer=False))
    encoder.load_state_dict(load_file(WEIGHTS))
    return encoder


def bert_base(attn_implementation: str = "sdpa") -> nn.Module:
    """BERT-base, and the mean over real tokens after it."""
    config = _with(BertConfig(), attn_implementation)
    return SentenceEncoder(BertModel(config, add_pooling_layer=False))


def vit_base(attn_implementation: str = "sdpa") -> nn.Module:
    """ViT-base, patches of 16."""
    config = _with(ViTConfig(), attn_implementation)
    return LastHiddenState(ViTModel(config, add_pooling_layer=False))


def whisper_encoder(attn_implementation: str = "sdpa") -> nn.Module:
    """The encoder of Whisper's smallest size."""
    config = WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536
    )
    return LastHiddenState(WhisperEncoder(_with(config, attn_implementation)))


def convnext() -> nn.Module:
    """ConvNeXt-tiny."""
    return LastHiddenState(ConvNextModel(ConvNextConfig()))


def resnet() -> nn.Module:
    """ResNet-50."""
    return LastHiddenState(ResNetModel(ResNetConfig()))
