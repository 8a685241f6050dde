"""Small models of many architectures, each with inputs and dims as its spec would declare them."""

from __future__ import annotations

from benchmarks.zoo.architecture import Architecture
from benchmarks.zoo.audio_models import AUDIO
from benchmarks.zoo.graph_models import GRAPHS
from benchmarks.zoo.head_models import HEADS
from benchmarks.zoo.other_models import OTHERS
from benchmarks.zoo.text_models import TEXT
from benchmarks.zoo.timm_models import TIMM
from benchmarks.zoo.vision_models import VISION

ZOO = (*VISION, *HEADS, *TEXT, *AUDIO, *GRAPHS, *OTHERS, *TIMM)

__all__ = ["ZOO", "Architecture"]
