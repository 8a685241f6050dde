"""Whether the machine was slowed down while something was timed: too hot, or out of its quota."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from onnxproof.records import QualityWarning

CGROUP: Final = Path("/sys/fs/cgroup/cpu.stat")
CPUS: Final = Path("/sys/devices/system/cpu")
COUNTERS: Final = ("core_throttle_count", "package_throttle_count")
GPU_REASONS: Final = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
}
"""Bits of NVML's nvmlClocksThrottleReasons; idle (0x1) and a power cap (0x4) are ordinary."""


class Throttling(NamedTuple):
    """Counters since the machine started, and what a GPU says now."""

    cpu: int = 0  # times that a processor of this process was too hot
    quota: int = 0  # periods in which the control group had used up its share
    gpu: tuple[str, ...] = ()

    @classmethod
    def now(cls) -> Throttling:
        """What can be read here; a counter that is not there is 0."""
        return cls(_hot(), _out_of_quota(), tuple(_gpu_reasons(_nvidia_smi())))


def throttled(before: Throttling, after: Throttling) -> Iterator[QualityWarning]:
    """What happened in between, or is the case."""
    hot, short = after.cpu - before.cpu, after.quota - before.quota
    found = (
        f"a processor was too hot {hot} times" if hot else "",
        f"the control group used up its share {short} times" if short else "",
        *after.gpu,
    )
    for reason in filter(None, found):
        yield QualityWarning(
            rule="clocks throttled", runner="all", where="this machine", reason=reason
        )


def _hot() -> int:
    paths = (
        CPUS / f"cpu{number}" / "thermal_throttle" / counter
        for number in os.sched_getaffinity(0)
        for counter in COUNTERS
    )
    return sum(int(text) for text in map(_read, paths) if text.isdigit())


def _out_of_quota() -> int:
    for line in _read(CGROUP).splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_throttled":
            return int(value)
    return 0


def _gpu_reasons(answer: str) -> Iterator[str]:
    """Of lines such as ``NVIDIA H200, 0x0000000000000040``."""
    for line in answer.splitlines():
        name, _, bits = line.rpartition(", ")
        if not bits.startswith("0x"):
            continue
        for bit, reason in GPU_REASONS.items():
            if int(bits, 16) & bit:
                yield f"{name}: {reason}"


def _nvidia_smi() -> str:
    if shutil.which("nvidia-smi") is None:
        return ""
    command = [
        "nvidia-smi", "--query-gpu=name,clocks_throttle_reasons.active", "--format=csv,noheader",
    ]  # fmt: skip
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
