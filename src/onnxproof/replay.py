"""Replay the proof that travels with this model: same inputs, this machine, PyTorch's answers.

    python replay.py [--provider CPUExecutionProvider] [MODEL_FOLDER]

Needs numpy, onnx and onnxruntime, nothing else. An element agrees when
|onnx - torch| <= atol + rtol * |torch|; integers must be equal; NaN and infinity never agree.
Exit code 0: the proof holds here. 4: it does not. 2: something needed is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One output over all sets."""

    output: str
    sets: int
    elements: int
    mismatched: int
    max_abs_diff: float  # inf where a NaN, an infinity or another shape was found
    atol: float
    rtol: float


def read_proof(folder: Path) -> Any:
    return json.loads((folder / "proof.json").read_text(encoding="utf-8"))


def same_bytes(folder: Path) -> bool:
    """Whether model.onnx is the file that was proven."""
    with (folder / "model.onnx").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return bool(found == read_proof(folder)["chosen"]["model"]["sha256"])


def replay(folder: Path, provider: str = "CPUExecutionProvider") -> list[Row]:
    """Run every ``test_data_set_N`` in ``folder``; one row for each output.

    Raises:
        OSError: A file is missing.
        ValueError: ``provider`` is not to be had here.
        Exception: ONNX Runtime's own, when it cannot load or run the model.
    """
    import onnxruntime  # type: ignore[import-untyped, unused-ignore]

    rows = [
        Row(p["name"], 0, 0, 0, 0.0, p["atol"], p["rtol"])
        for p in read_proof(folder)["check"]["parity"]
    ]
    sets = sorted(folder.glob("test_data_set_*"))
    if not sets or not rows:
        raise FileNotFoundError(f"{folder} holds no test_data_set_N, or its proof names no output")
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ValueError(f"{provider} is not in this ONNX Runtime, which has {available}")
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=[provider])
    if session.get_providers()[0] != provider:  # ONNX Runtime falls back without raising
        raise ValueError(f"{provider} did not start here, {session.get_providers()[0]} did")
    names = [output.name for output in session.get_outputs()]
    for each in sets:
        wanted, feed = read_tensors(each, "output"), read_tensors(each, "input")
        found = dict(zip(names, session.run(None, feed), strict=True))
        rows = [add(row, wanted[row.output], found[row.output]) for row in rows]
    return rows


def read_tensors(folder: Path, kind: str) -> dict[str, Any]:
    import onnx

    tensors = [onnx.load_tensor(str(path)) for path in folder.glob(f"{kind}_*.pb")]
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


def add(row: Row, wanted: Any, found: Any) -> Row:
    """The row with one more set in it."""
    import numpy as np

    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        agree, largest = np.zeros(wanted.shape or (1,), bool), float("inf")
    elif wanted.dtype.kind != "f":
        agree, largest = wanted == found, 0.0
    else:
        wanted, found = wanted.astype(np.float64), found.astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.abs(found - wanted)
        difference[~np.isfinite(difference)] = np.inf
        agree = np.isfinite(wanted) & (difference <= row.atol + row.rtol * np.abs(wanted))
        largest = float(np.max(difference, initial=0.0))
    return row._replace(
        sets=row.sets + 1,
        elements=row.elements + agree.size,
        mismatched=row.mismatched + int((~agree).sum()),
        max_abs_diff=max(row.max_abs_diff, largest),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay the proof that travels with a model.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--provider", default="CPUExecutionProvider")
    asked = parser.parse_args()
    try:
        same, rows = same_bytes(asked.folder), replay(asked.folder, asked.provider)
    except (OSError, ValueError, KeyError, ImportError) as error:
        print(f"cannot replay {asked.folder}: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"the proof DOES NOT HOLD: ONNX Runtime failed: {error}", file=sys.stderr)
        return 4
    for row in rows:
        print(
            f"{'FAIL' if row.mismatched else 'ok  '} {row.output}: {row.mismatched} of "
            f"{row.elements} elements differ, at most {row.max_abs_diff:.3g} from PyTorch "
            f"(atol {row.atol:.3g}, rtol {row.rtol:.3g})"
        )
    holds = same and not any(row.mismatched for row in rows)
    print(
        f"the proof {'holds' if holds else 'DOES NOT HOLD'} on {asked.provider}: {rows[0].sets} "
        f"sets, model.onnx {'is' if same else 'IS NOT'} the file that was proven"
    )
    return 0 if holds else 4


if __name__ == "__main__":
    sys.exit(main())
