"""What to know of a machine before its numbers are compared with those of another."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

from onnxproof.records import Environment

CPUINFO: Final = Path("/proc/cpuinfo")
CGROUP: Final = Path("/sys/fs/cgroup")
GOVERNOR: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
GPU_FACTS: Final = "name,driver_version,clocks.sm,clocks.max.sm,clocks_throttle_reasons.active"


def fingerprint(threads: int) -> Environment:
    """The environment of this process; ``threads`` are those of the benchmark.

    PyTorch and ONNX Runtime are loaded already.
    """
    return Environment(
        cpu_model=_cpu_model(),
        cores=len(os.sched_getaffinity(0)),
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        cgroup_cpus=_cgroup_cpus(),
        cgroup_memory_bytes=_number(_read(CGROUP / "memory.max")),
        governor=_read(GOVERNOR),
        load_1m=os.getloadavg()[0],
        pytorch_threads=threads,
        onnxruntime_threads=threads,
        allocator=_allocator(),
        libraries=_libraries(),
        gpus=_gpus(),
    )


def _cpu_model() -> str:
    for line in _read(CPUINFO).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _cgroup_cpus() -> float | None:
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    whole = _number(quota)
    return None if whole is None or not period else whole / int(period)


def _allocator() -> str:
    """``glibc 2.36``, and what may have changed it: a library in its place, its own variables."""
    changed = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name == "LD_PRELOAD" or name.startswith(("MALLOC_", "GLIBC_TUNABLES"))
    ]
    return ", ".join([" ".join(platform.libc_ver()), *changed])


def _libraries() -> dict[str, str]:
    from onnxproof.benchmark.pytorch import build_of_pytorch
    from onnxproof.runtime import build_of_onnxruntime

    return {"torch": build_of_pytorch(), "onnxruntime": build_of_onnxruntime()}


def _gpus() -> tuple[str, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    command = ["nvidia-smi", f"--query-gpu={GPU_FACTS}", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None  # "max" is no limit


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
