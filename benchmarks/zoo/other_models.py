"""Recurrent, temporal and generative networks, and a recommender; all our own."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.zoo.architecture import BATCH, TEXT, Architecture

WORDS: Final = {"tokens": "int64[batch, seq] in 0..98"}


def _entry(
    name: str,
    family: str,
    factory: str,
    inputs: dict[str, str],
    dims: dict[str, dict[str, int]],
    **settings: Any,
) -> Architecture:
    return Architecture(
        name=name,
        family=family,
        factory=f"benchmarks.zoo.{factory}",
        inputs=inputs,
        dims=dims,
        kwargs=settings,
    )


OTHERS: Final = (
    _entry("lstm", "recurrent", "recurrent:Tagger", WORDS, TEXT, kind="lstm", both_ways=True),
    _entry("gru", "recurrent", "recurrent:Tagger", WORDS, TEXT, kind="gru", both_ways=False),
    _entry(
        "tcn", "recurrent", "recurrent:TemporalConvolution",
        {"series": "float32[batch, 8, seq]"}, TEXT,
    ),
    _entry("rwkv-like", "state space", "recurrent:TokenShift", WORDS, TEXT),
    _entry(
        "vae", "generative", "generative:VariationalAutoencoder",
        {"image": "float32[batch, 3, 4*side, 4*side]", "noise": "float32[batch, 8, side, side]"},
        BATCH | {"side": {"min": 2, "max": 12}},
    ),
    _entry(
        "diffusion-block", "generative", "generative:DiffusionBlock",
        {
            "latent": "float32[batch, 4, 2*height, 2*width]",
            "step": "int64[batch] in 0..999",
            "context": "float32[batch, words, 12]",
        },
        BATCH | {
            "height": {"min": 2, "max": 9},
            "width": {"min": 2, "max": 9},
            "words": {"min": 1, "max": 9},
        },
    ),
    _entry(
        "ncf", "recommender", "generative:NeuralCollaborativeFilter",
        {
            "user": "int64[batch] in 0..49",
            "item": "int64[batch] in 0..69",
            "genres": "int64[batch, tags] in 0..19",
        },
        BATCH | {"tags": {"min": 1, "max": 6}},
    ),
)  # fmt: skip
