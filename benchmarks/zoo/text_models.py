"""Text encoders and decoders of Transformers, from small configs with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from torch import nn

from benchmarks.zoo.architecture import TEXT as DIMS
from benchmarks.zoo.architecture import Architecture

VOCABULARY: Final = 99
TOKENS: Final = f"int64[batch, seq] in 3..{VOCABULARY - 1}"  # 0 to 2 mean padding to some models
ENCODER: Final = {"input_ids": TOKENS, "attention_mask": "int64[batch, seq] mask"}
SIZES: Final[dict[str, Any]] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
LLAMA: Final[dict[str, Any]] = SIZES | {"num_key_value_heads": 2, "pad_token_id": 0}


def build(model: str, **settings: Any) -> nn.Module:
    """A model class of Transformers, from its own config class with these settings."""
    import transformers

    kind = attrgetter(model)(transformers)
    config = kind.config_class(**settings)
    config.use_cache = False
    module: nn.Module = kind(config)
    return module


def _entry(
    name: str, family: str, model: str, inputs: Mapping[str, str] = ENCODER, **settings: Any
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        factory="benchmarks.zoo.text_models:build",
        inputs=inputs,
        dims=DIMS,
        kwargs={"model": model, **settings},
    )


ENCODERS: Final = (
    _entry("bert", "text encoder", "BertModel", **SIZES),
    _entry("roberta", "text encoder", "RobertaModel", **SIZES),
    _entry(
        "deberta-v2", "text encoder", "DebertaV2Model", **SIZES,
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8,
    ),
    _entry(
        "distilbert", "text encoder", "DistilBertModel",
        vocab_size=VOCABULARY, dim=32, n_layers=2, n_heads=4, hidden_dim=64,
        max_position_embeddings=64,
    ),
    _entry("albert", "text encoder", "AlbertModel", **SIZES, embedding_size=16),
    _entry("electra", "text encoder", "ElectraModel", **SIZES, embedding_size=16),
    _entry("mpnet", "text encoder", "MPNetModel", **SIZES),
    _entry(
        "modernbert", "text encoder", "ModernBertModel", **SIZES,
        local_attention=8, global_attn_every_n_layers=2, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    ),
    _entry(
        "xlnet", "text encoder", "XLNetModel",
        {"input_ids": TOKENS, "attention_mask": "float32[batch, seq] in 1..1"},
        vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=4, d_inner=64,
    ),
    _entry(
        "longformer", "text encoder", "LongformerModel",
        **SIZES | {"max_position_embeddings": 128}, attention_window=[8, 8], pad_token_id=1,
    ),
    _entry("fnet", "text encoder", "FNetModel", {"input_ids": TOKENS}, **{
        key: value for key, value in SIZES.items() if key != "num_attention_heads"
    }),
    _entry(
        "t5-encoder", "text encoder", "T5EncoderModel",
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
    ),
    _entry(
        "bart-encoder", "text encoder", "models.bart.modeling_bart.BartEncoder",
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, encoder_attention_heads=4,
        encoder_ffn_dim=64, max_position_embeddings=64,
    ),
    _entry(
        "marian-encoder", "text encoder", "models.marian.modeling_marian.MarianEncoder",
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, encoder_attention_heads=4,
        encoder_ffn_dim=64, max_position_embeddings=64, pad_token_id=0,
    ),
)  # fmt: skip

DECODERS: Final = (
    _entry(
        "gpt2", "text decoder", "GPT2LMHeadModel",
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64,
        bos_token_id=1, eos_token_id=2,
    ),
    _entry("llama", "text decoder", "LlamaForCausalLM", **LLAMA),
    _entry("qwen3", "text decoder", "Qwen3ForCausalLM", **LLAMA, head_dim=8),
    _entry("mistral", "text decoder", "MistralForCausalLM", **LLAMA, sliding_window=8),
    _entry("gemma", "text decoder", "GemmaForCausalLM", **LLAMA, head_dim=8),
    _entry(
        "gemma3", "text decoder", "Gemma3ForCausalLM", **LLAMA, head_dim=8, sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    ),
    _entry("phi", "text decoder", "PhiForCausalLM", **SIZES, bos_token_id=1, eos_token_id=2),
    _entry("phi3", "text decoder", "Phi3ForCausalLM", **LLAMA),
    _entry(
        "falcon", "text decoder", "FalconForCausalLM",
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        bos_token_id=1, eos_token_id=2,
    ),
    _entry(
        "bloom", "text decoder", "BloomForCausalLM",
        vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4,
    ),
    _entry(
        "opt", "text decoder", "OPTForCausalLM",
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        ffn_dim=64, max_position_embeddings=64, word_embed_proj_dim=32,
    ),
    _entry("gpt-neox", "text decoder", "GPTNeoXForCausalLM", **SIZES),
    _entry(
        "mixtral", "mixture of experts", "MixtralForCausalLM", **LLAMA,
        num_local_experts=4, num_experts_per_tok=2,
    ),
    _entry(
        "qwen3-moe", "mixture of experts", "Qwen3MoeForCausalLM", **LLAMA, head_dim=8,
        num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32,
    ),
    _entry(
        "mamba", "state space", "MambaForCausalLM", {"input_ids": TOKENS},
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4,
    ),
    _entry(
        "rwkv", "state space", "RwkvForCausalLM", {"input_ids": TOKENS},
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32,
        intermediate_size=64, context_length=64,
    ),
)  # fmt: skip

TEXT: Final = (*ENCODERS, *DECODERS)
