"""Speech encoders of Transformers, and sound by our own small networks."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.zoo.architecture import BATCH, Architecture

SPEECH: Final = {
    "vocab_size": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [16, 16],
    "conv_stride": [5, 2],
    "conv_kernel": [10, 3],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "apply_spec_augment": False,
}
SAMPLES: Final = BATCH | {"samples": {"min": 64, "max": 400}}


def _entry(
    name: str,
    model: str,
    inputs: dict[str, str],
    dims: dict[str, dict[str, int]],
    **settings: Any,
) -> Architecture:
    return Architecture(
        name=name,
        family="audio",
        factory="benchmarks.zoo.text_models:build",
        inputs=inputs,
        dims=dims,
        kwargs={"model": model, **settings},
    )


AUDIO: Final = (
    _entry(
        "wav2vec2", "Wav2Vec2ForCTC", {"input_values": "float32[batch, samples]"}, SAMPLES,
        **SPEECH,
    ),
    _entry("hubert", "HubertModel", {"input_values": "float32[batch, samples]"}, SAMPLES, **SPEECH),
    _entry(
        "whisper-encoder", "models.whisper.modeling_whisper.WhisperEncoder",
        {"input_features": "float32[batch, 8, 60]"}, BATCH,
        vocab_size=99, d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=64,
        num_mel_bins=8, max_source_positions=30, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    ),
    _entry(
        "audio-spectrogram", "ASTModel", {"input_values": "float32[batch, 32, 16]"}, BATCH,
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        patch_size=8, frequency_stride=8, time_stride=8, max_length=32, num_mel_bins=16,
    ),
    Architecture(
        name="wavenet",
        family="audio",
        factory="benchmarks.zoo.generative:WaveNet",
        inputs={"samples": "float32[batch, 1, length]"},
        dims=BATCH | {"length": {"min": 1, "max": 100}},
    ),
)  # fmt: skip
