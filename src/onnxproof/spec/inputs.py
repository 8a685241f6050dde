"""What a tensor may be: the line ``float32[batch, 3, 224, 224]`` and what it stands for."""

from __future__ import annotations

import difflib
import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from onnxproof.spec.dims import Size, names_in

Values = Literal["normal", "uniform", "integers", "bool", "mask", "additive_mask", "lengths"]

FLOATS: Final = ("float16", "float32", "float64")
INTEGERS: Final = ("int8", "int16", "int32", "int64", "uint8")
NUMBERS: Final = ("int", "float")
"""Python numbers; most strategies bake them into the graph, and the contract check then refuses."""
NO_BFLOAT16: Final = (
    "ONNX Runtime has no MatMul, Gemm, Add, Mul or Relu of it on a CPU, and NumPy no such dtype; "
    "use float32 or float16, and convert inside of forward"
)
"""Tried with onnxruntime 1.32: it loads Cast and LayerNormalization alone."""
DTYPES: Final = (*FLOATS, *INTEGERS, "bool", *NUMBERS)

_LINE: Final = re.compile(
    r"""^\s*(?P<dtype>\w+)\s*
    (?:\[(?P<shape>[^\]]*)\])?\s*
    (?P<kind>mask|additive_mask|lengths)?\s*
    (?:in\s+(?P<low>-?[\d.eE+]*?\d)\s*\.\.\s*(?P<high>-?[\d.eE+]*\d))?\s*$""",
    re.VERBOSE,
)


class InputSpec(BaseModel):
    """One argument of ``forward``: the line ``DTYPE[SHAPE] [mask|lengths|...] [in LOW..HIGH]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str = Field(description=f"One of {', '.join(DTYPES)}.")
    shape: tuple[Size, ...] = Field(
        default=(), description="Numbers, dims, or arithmetic such as 2*seq."
    )
    values: Values = Field(description="How reference values are drawn.")
    low: float | None = Field(default=None, description="Least value, inclusive.")
    high: float | None = Field(default=None, description="Greatest value, inclusive.")
    scale: float = Field(default=1.0, gt=0, description="Standard deviation of normal values.")

    @model_validator(mode="before")
    @classmethod
    def _from_line(cls, value: Any) -> Any:
        fields = parse_line(value) if isinstance(value, str) else value
        if isinstance(fields, dict) and "values" not in fields:
            fields = {**fields, "values": _usual_values(fields)}
        return fields

    @model_validator(mode="after")
    def _holds_together(self) -> InputSpec:
        if self.dtype == "bfloat16":
            raise ValueError(f"an input of bfloat16 cannot be proven: {NO_BFLOAT16}")
        if self.dtype not in DTYPES:
            close = difflib.get_close_matches(self.dtype, DTYPES, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise ValueError(f"unknown dtype {self.dtype!r}; {meant}Valid: {', '.join(DTYPES)}")
        for size in self.shape:
            names_in(size)
            if isinstance(size, int) and size < 0:
                raise ValueError(f"size {size} is negative; name a dim where the size varies")
        if self.dtype in NUMBERS and self.shape:
            raise ValueError(
                f"a Python {self.dtype} has no shape; write {self.dtype}32[...] for a tensor"
            )
        needs_range = self.values in ("integers", "lengths", "uniform")
        if needs_range and (self.low is None or self.high is None):
            raise ValueError(
                f"{self.values} values need a range: write "
                f"'{self.line_without_range()} in LOW..HIGH' (for tokens: 0..vocabulary size - 1)"
            )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        if self.array_dtype in INTEGERS:
            self._fits_its_dtype()
        return self

    @model_validator(mode="after")
    def _is_a_mask(self) -> InputSpec:
        if self.values in ("mask", "additive_mask") and len(self.shape) < 2:
            raise ValueError(
                "a mask has the shape [rows, positions], or sizes between them that share it, "
                "such as [batch, 1, 1, seq]"
            )
        if self.values == "additive_mask" and self.dtype not in FLOATS:
            raise ValueError(f"an additive_mask is added to scores, and {self.dtype} is no float")
        return self

    def _fits_its_dtype(self) -> None:
        bits = int(self.array_dtype.lstrip("uint"))
        least, greatest = (
            (0, 2**bits - 1)
            if self.array_dtype.startswith("u")
            else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        for end in (self.low, self.high):
            if end is not None and not (end == int(end) and least <= end <= greatest):
                raise ValueError(
                    f"{end:g} is no {self.array_dtype}, which holds whole numbers from {least} to "
                    f"{greatest}"
                )

    @property
    def is_tensor(self) -> bool:
        """False for a Python number."""
        return self.dtype not in NUMBERS

    @property
    def array_dtype(self) -> str:
        """The NumPy dtype of the input's values, also for a Python number."""
        return {"int": "int64", "float": "float32"}.get(self.dtype, self.dtype)

    def line_without_range(self) -> str:
        """The spec's one line, values left out: ``int64[batch, seq]``."""
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]" if self.is_tensor else self.dtype


def parse_line(line: str) -> dict[str, Any]:
    """The fields that one line of a spec stands for.

    Raises:
        ValueError: The line does not follow the grammar.
    """
    match = _LINE.match(line)
    if match is None:
        raise ValueError(
            f"cannot read {line!r}; write DTYPE[SHAPE] [mask|additive_mask|lengths] "
            "[in LOW..HIGH], "
            "such as 'float32[batch, 3, 224, 224]' or 'int64[batch, seq] in 0..29999'"
        )
    fields: dict[str, Any] = {"dtype": match["dtype"]}
    entries = [entry.strip() for entry in (match["shape"] or "").split(",") if entry.strip()]
    fields["shape"] = [int(entry) if entry.lstrip("-").isdigit() else entry for entry in entries]
    if match["kind"]:
        fields["values"] = match["kind"]
    if match["low"] is not None:
        fields |= {"low": float(match["low"]), "high": float(match["high"])}
    return fields


def _usual_values(fields: dict[str, Any]) -> Values:
    dtype = fields.get("dtype")
    if dtype in ("bool", "int") or dtype in INTEGERS:
        return "bool" if dtype == "bool" else "integers"
    return "uniform" if fields.get("low") is not None else "normal"
