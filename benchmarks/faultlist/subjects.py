"""What is exported before anything is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from onnxproof.spec import Spec, parse_spec

FACTORIES: Final = "benchmarks.faultlist.models"
BATCH: Final = {"batch": {"min": 1, "max": 8}}
SECONDS: Final = 120
MEMORY_GB: Final = 4


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and what a person would write in its spec."""

    name: str
    inputs: Mapping[str, Any]
    factory: str = ""  # a module and a callable; else NAME of the models here
    dims: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: BATCH)
    source: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)

    def spec(self) -> Spec:
        """The spec, with limits that are enough for all of them."""
        data = {
            "name": self.name,
            "source": {"factory": self.factory or f"{FACTORIES}:{self.name}", **self.source},
            "inputs": dict(self.inputs),
            "dims": {name: dict(dim) for name, dim in self.dims.items()},
            "limits": {"seconds": SECONDS, "memory_gb": MEMORY_GB},
            **self.sections,
        }
        return parse_spec(data, self.name)


DEEP_MODEL: Final = "benchmarks.faultlist.deep_model"
ELSEWHERE: Final = {
    "providers": [{"name": "ROCMExecutionProvider", "required": True}], "seconds": 0.1,
}  # fmt: skip
TOKENS: Final = "int64[batch, seq] in 0..1999"
PAIR: Final = {"input_ids": TOKENS, "attention_mask": "int64[batch, seq] mask"}
LONG: Final = BATCH | {"seq": {"min": 1, "max": 48}}
IMAGE: Final = {"image": "float32[batch, 1, 8, 8] in 0..1"}
ROWS: Final = {"x": "float32[batch, 4]"}


def _unmatched(name: str, **inputs: str) -> Subject:
    return Subject(name, ROWS | inputs, factory=f"{DEEP_MODEL}:{name}")


SUBJECTS: Final = {
    subject.name: subject
    for subject in (
        Subject("digits", IMAGE),
        Subject("text", PAIR, dims=LONG),
        Subject(
            "text_outside",
            PAIR,
            factory=f"{FACTORIES}:text",
            dims=LONG,
            sections={"export": {"external_data": "always"}},
        ),
        Subject(
            "digits_elsewhere",
            IMAGE,
            factory=f"{FACTORIES}:digits",
            sections={"benchmark": ELSEWHERE},
        ),
        Subject(
            "recurrent",
            {"x": "float32[batch, seq, 12]"},
            dims=BATCH | {"seq": {"min": 1, "max": 24}},
        ),
        Subject(
            "recommender",
            {
                "person": "int64[batch] in 0..2999",
                "items": "int64[batch, 6] in 0..3999",
                "age": "int64[batch] in 0..90",
            },
        ),
        Subject("half", {"x": {"dtype": "float16", "shape": ["batch", 64], "scale": 200}}),
        Subject("rounds", ROWS | {"steps": "int64[] in 0..6"}),
        Subject("unseeded", IMAGE, factory=f"{DEEP_MODEL}:unseeded"),
        *map(_unmatched, ("drops", "nan", "branches", "counts", "squeezes", "hangs")),
        _unmatched("steps", steps="int64[] in 0..6"),
        Subject(
            "another_file",
            IMAGE,
            factory=f"{FACTORIES}:digits",
            source={"weights": {"path": "weights.safetensors", "sha256": "5" * 64}},
        ),
        Subject(
            "another_model",
            IMAGE,
            factory=f"{FACTORIES}:digits",
            source={"weights": {"path": "weights.safetensors"}},
        ),
    )
}
