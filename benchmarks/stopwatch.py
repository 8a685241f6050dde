"""Wall-clock time of whole commands, as a person at a terminal waits for them."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]


def output_and_seconds(command: Sequence[str]) -> tuple[str, float]:
    """What ``command`` prints, run in the checkout, and how long it takes; ends when it fails."""
    start = time.perf_counter()
    answer = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if answer.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {answer.returncode}:\n{answer.stderr[-2000:]}")
    return answer.stdout, seconds


MAKERS: Final = {"digits-cnn": "examples.digits_cnn", "minilm": "examples.minilm"}
"""Catalog name to the module that makes its files; done at once when they are there."""


def make_files(model: str) -> None:
    """Make the weights that the catalog entry ``model`` names."""
    output_and_seconds([sys.executable, "-m", MAKERS[model]])


def python(code: str) -> list[str]:
    """A command that runs ``code`` in this interpreter."""
    return [sys.executable, "-c", code]


def onnxproof(*arguments: str) -> list[str]:
    """A command of the program that is installed beside this interpreter."""
    return [str(Path(sys.executable).with_name("onnxproof")), *arguments]


def medians(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Median seconds of each command; they take turns, so that a slow minute slows all of them."""
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            samples[name].append(output_and_seconds(command)[1])
    return {name: statistics.median(sample) for name, sample in samples.items()}
