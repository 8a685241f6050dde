"""Replay the proof that travels with this model: same inputs, this machine, PyTorch's answers.

    python replay.py [--provider CPUExecutionProvider] [--library FILE]... [MODEL_FOLDER]

Needs numpy, onnx and onnxruntime, nothing else. An element agrees when
|onnx - torch| <= atol + rtol * |torch|, with the atol of its magnitude class, whose elements may
not differ too much as a whole either; NaN and infinity never agree unless the proof allows them.
Exit code 0: the proof holds here. 4: it does not. 2: something needed is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

CPU = "CPUExecutionProvider"
ON_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


class Row(NamedTuple):
    """One output over all sets."""

    output: str
    sets: int
    elements: int
    mismatched: int
    max_abs_diff: float  # inf where a NaN, an infinity or another shape was found
    held_to: Any  # the row of proof.json that says what is allowed
    counts: Any  # elements of each class
    squares: Any  # sums of their squared differences

    @property
    def beyond(self) -> bool:
        """Whether the elements of a class differ too much as a whole."""
        limits = [found["max_rms_diff"] for found in self.held_to["classes"]]
        return any(
            limit is not None and count and (total / count) ** 0.5 > limit
            for limit, count, total in zip(limits, self.counts, self.squares, strict=True)
        )


def read_proof(folder: Path) -> Any:
    return json.loads((folder / "proof.json").read_text(encoding="utf-8"))


def same_bytes(folder: Path) -> bool:
    """Whether model.onnx, its external data and every test_data_set_N are those of the proof."""
    proof = read_proof(folder)
    reference, chosen = proof["loaded"]["reference"], proof["chosen"]
    files = {"model.onnx": chosen["model"]["sha256"]}
    if weights := chosen.get("weights"):
        files[weights["path"]] = weights["sha256"]
    for name, digest in files.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return False
    sets = hashlib.sha256()
    for name in sets_of(proof):
        for kind in ("input", "output"):
            for index in range(len(reference[f"{kind}s"])):
                sets.update((folder / name / f"{kind}_{index}.pb").read_bytes())
    return bool(sets.hexdigest() == reference["digest"])


def sets_of(proof: Any) -> list[str]:
    """In the order in which they were saved, and in which their digest was taken."""
    points = proof["loaded"]["reference"]["points"]
    names = [name for point in points for name in point["sets"]]
    return sorted(names, key=lambda name: int(name.rpartition("_")[2]))


def replay(
    folder: Path, provider: str = "CPUExecutionProvider", libraries: Sequence[str] = ()
) -> list[Row]:
    """Run every ``test_data_set_N`` that the proof names; one row for each output.

    Raises:
        OSError: A file is missing.
        ValueError: ``provider`` is not to be had here, or a library that the model needs.
        Exception: ONNX Runtime's own, when it cannot load or run the model.
    """
    proof = read_proof(folder)
    rows, reference = [row_of(p) for p in parity_on(provider, proof)], proof["loaded"]["reference"]
    sets = sets_of(proof)
    if not sets or not rows:
        raise ValueError(f"the proof in {folder} names no test_data_set_N, or no output")
    if (needs := proof["spec"]["export"].get("needs")) and len(libraries) < len(needs):
        raise ValueError(
            f"the model has operators that ONNX Runtime has not itself; give a --library for each "
            f"of {', '.join(needs)} (install that package, and pass the path that it returns)"
        )
    options = options_of(provider, proof)
    session = open_session(folder / "model.onnx", provider, libraries, options)
    inputs = [record["name"] for record in reference["inputs"]]
    outputs = [record["name"] for record in reference["outputs"]]
    found = [
        [node_arg.name for node_arg in side]
        for side in (session.get_inputs(), session.get_outputs())
    ]
    if found != [inputs, outputs]:
        raise RuntimeError(f"model.onnx has {found}, the proof is about {[inputs, outputs]}")
    pairs = zip(proof["check"]["edges"], reference["edges"], strict=True)
    edges = {check["folder"]: partial(add_edge, check=check, sample=own) for check, own in pairs}
    for name in sets:
        if name in edges and provider != CPU:
            continue  # their budgets are those of float32 on a CPU
        feed = read_tensors(folder / name, "input", inputs)
        wanted = read_tensors(folder / name, "output", outputs)
        given = dict(zip(outputs, session.run(outputs, feed), strict=True))
        step = edges.get(name, add)
        rows = [step(row, wanted=wanted[row.output], found=given[row.output]) for row in rows]
    return rows


def add_edge(row: Row, wanted: Any, found: Any, check: Any, sample: Any) -> Row:
    """The row with an edge sample in it, which has a budget of its own; not where it is a note."""
    if check["outcome"] != "passed":
        return row
    held_to = next(entry for entry in check["parity"] if entry["name"] == row.output)
    own = next(entry for entry in sample["outputs"] if entry["name"] == row.output)
    if own["undecided"] and wanted.shape == found.shape:
        found = found.copy()
        found.flat[own["undecided"]] = wanted.flat[own["undecided"]]
    one = add(row_of(held_to), wanted, found)
    return row._replace(
        sets=row.sets + 1,
        elements=row.elements + one.elements,
        mismatched=row.mismatched + max(one.mismatched, int(one.beyond)),
        max_abs_diff=max(row.max_abs_diff, one.max_abs_diff),
    )


def parity_on(provider: str, proof: Any) -> Any:
    """What was found on this provider, with tolerances of its own; else what was found at all."""
    for check in proof["check"].get("providers", []):
        if check["provider"] == provider and check["parity"]:
            return check["parity"]
    return proof["check"]["parity"]


def options_of(provider: str, proof: Any) -> dict[str, str]:
    """The provider's options in the spec; they decide what it computes in."""
    named = proof["spec"]["benchmark"]["providers"]
    return next((dict(entry["options"]) for entry in named if entry["name"] == provider), {})


def open_session(
    model: Path,
    provider: str,
    libraries: Sequence[str] = (),
    provider_options: dict[str, str] | None = None,
) -> Any:
    """A session on ``provider``; ONNX Runtime falls back to the CPU without raising."""
    import onnxruntime  # type: ignore[import-untyped, unused-ignore]

    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise ValueError(f"{provider} is not in this ONNX Runtime, which has {available}")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for library in libraries:
        add_library(options, Path(library))
    if hasattr(onnxruntime, "preload_dlls") and provider in ON_CUDA:  # newer than 1.20
        onnxruntime.preload_dlls()
    chosen = [(provider, provider_options or {})]
    session = onnxruntime.InferenceSession(str(model), options, providers=chosen)
    if session.get_providers()[0] != provider:
        raise ValueError(f"{provider} did not start here, {session.get_providers()[0]} did")
    if hasattr(session, "get_provider_graph_assignment_info"):  # newer than 1.20
        used = {part.ep_name for part in session.get_provider_graph_assignment_info()}
        if used and provider not in used:
            raise ValueError(f"{provider} takes no node of this model, all are on {sorted(used)}")
    return session


def add_library(options: Any, library: Path) -> None:
    if not library.is_file():
        raise ValueError(f"there is no file {library}; give --library the path of one")
    whole = str(library.resolve())  # a bare name is looked for in the system's folders
    try:
        options.register_custom_ops_library(whole)
    except Exception as error:  # of no common base
        raise ValueError(f"{library} is no library that ONNX Runtime loads: {error}") from None


def read_tensors(folder: Path, kind: str, names: list[str]) -> dict[str, Any]:
    import onnx

    tensors = [onnx.load_tensor(str(path)) for path in folder.glob(f"{kind}_*.pb")]
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in tensors}
    if absent := [name for name in names if name not in arrays]:
        raise FileNotFoundError(f"{folder} has no {kind}_K.pb for {', '.join(absent)}")
    return arrays


def row_of(held_to: Any) -> Row:
    """A row without sets; ``held_to`` is the output's entry in proof.json."""
    none = (0.0,) * len(held_to["classes"])
    return Row(held_to["name"], 0, 0, 0, 0.0, held_to, none, none)


def allowed_to(held_to: Any, wanted: Any) -> tuple[Any, Any]:
    """How far each element may be away, and its class; -1 for what stands for no number."""
    import numpy as np

    classes = held_to["classes"] or [{"low": 0.0, "atol": 0.0}]
    sizes = np.abs(np.where(np.isfinite(wanted), wanted, 0.0))
    place = np.searchsorted([found["low"] for found in classes], sizes, "right")
    index = np.asarray(np.maximum(place - 1, 0))
    atol = np.asarray([found["atol"] for found in classes])
    allowed = np.asarray(atol[index] + held_to["rtol"] * np.abs(wanted))
    for fill in held_to["fills"]:
        allowed[wanted == fill["value"]] = fill["atol"]
        index[wanted == fill["value"]] = -1
    index[~np.isfinite(wanted)] = -1
    return allowed, index


def add(row: Row, wanted: Any, found: Any) -> Row:
    """The row with one more set in it."""
    import numpy as np

    counts, squares = list(row.counts), list(row.squares)
    if wanted.shape != found.shape or wanted.dtype != found.dtype:
        agree, largest = np.zeros(max(wanted.size, 1), bool), float("inf")
    else:
        target, given = wanted.astype(np.float64), found.astype(np.float64)
        same = np.isnan(target) & np.isnan(given) | (target == given) & ~np.isfinite(target)
        same &= row.held_to["allow_nonfinite"]
        with np.errstate(invalid="ignore"):
            difference = np.asarray(np.abs(given - target))
            allowed, index = allowed_to(row.held_to, target)
        difference[~np.isfinite(difference)] = np.inf
        difference[same] = 0.0
        largest = float(np.max(difference, initial=0.0))
        if row.held_to["basis"] == "exact":
            agree = np.asarray(wanted == found)
        else:
            agree = np.asarray(same | np.isfinite(target) & (difference <= allowed))
        for number in range(len(counts)):
            counts[number] += int((index == number).sum())
            squares[number] += float(np.sum(np.square(difference[index == number])))
    return row._replace(
        sets=row.sets + 1,
        elements=row.elements + agree.size,
        mismatched=row.mismatched + int((~agree).sum()),
        max_abs_diff=max(row.max_abs_diff, largest),
        counts=tuple(counts),
        squares=tuple(squares),
    )


def holds(rows: list[Row], same: bool) -> bool:
    return same and not any(row.mismatched or row.beyond for row in rows)


def findings(rows: list[Row], same: bool, provider: str) -> list[str]:
    """One line for each output, and the verdict."""
    lines = [
        f"{'FAIL' if row.mismatched or row.beyond else 'ok  '} {row.output}: {row.mismatched} of "
        f"{row.elements} elements differ, at most {row.max_abs_diff:.3g} "
        f"from PyTorch{'; as a whole they differ too much' * row.beyond}"
        for row in rows
    ]
    verdict = "holds" if holds(rows, same) else "DOES NOT HOLD"
    files = "are" if same else "ARE NOT"
    summary = (
        f"the proof {verdict} on {provider}: {rows[0].sets} sets, "
        f"its files {files} those that were proven"
    )
    return [*lines, summary]


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay the proof that travels with a model.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--provider", default="CPUExecutionProvider")
    parser.add_argument("--library", action="append", default=[], metavar="FILE")
    asked = parser.parse_args()
    try:
        same = same_bytes(asked.folder)
        rows = replay(asked.folder, asked.provider, asked.library)
    except (OSError, ValueError, KeyError, ImportError) as error:
        print(f"cannot replay {asked.folder}: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        print(f"the proof DOES NOT HOLD: {type(error).__name__}: {error}", file=sys.stderr)
        return 4
    print("\n".join(findings(rows, same, asked.provider)))
    return 0 if holds(rows, same) else 4


if __name__ == "__main__":
    sys.exit(main())
