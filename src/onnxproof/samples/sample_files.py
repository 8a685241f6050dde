"""Inputs and outputs on the disk, as ONNX lays out its own backend tests: ``test_data_set_N``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from onnxproof.samples.generate import Feed

if TYPE_CHECKING:
    import numpy as np


def write_set(
    folder: Path,
    feed: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    note: Callable[[bytes], object] = len,
) -> None:
    """Write one set into a new folder; ``note`` gets the bytes of each file, inputs first."""
    from onnx import numpy_helper

    folder.mkdir(parents=True)
    for kind, arrays in (("input", feed), ("output", outputs)):
        for index, (name, array) in enumerate(arrays.items()):
            data = numpy_helper.from_array(array, name).SerializeToString()
            (folder / f"{kind}_{index}.pb").write_bytes(data)
            note(data)


def read_set(folder: Path) -> tuple[Feed, dict[str, np.ndarray]]:
    """Inputs and outputs of one ``test_data_set_N``, by name."""
    import onnx
    from onnx import numpy_helper

    def read(kind: str) -> dict[str, np.ndarray]:
        arrays = {}
        for index in range(len(list(folder.glob(f"{kind}_*.pb")))):
            tensor = onnx.load_tensor(folder / f"{kind}_{index}.pb")
            arrays[tensor.name] = numpy_helper.to_array(tensor)
        return arrays

    return read("input"), read("output")
