"""Versions that a proof depends on: of the toolchain, of onnxproof, of the checkout."""

from __future__ import annotations

import functools
import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

TOOLCHAIN: Final = (
    "onnxproof",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxsim",
    "onnxslim",
    "onnxscript",
    "numpy",
)


@functools.cache
def toolchain_versions() -> dict[str, str]:
    """Version by distribution, of those that take part in an export and are installed."""
    found = {}
    for name in TOOLCHAIN:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def package_version() -> str:
    """Version of onnxproof itself."""
    return metadata.version("onnxproof")


@functools.cache
def flow_version() -> str:
    """Package version plus git commit: ``0.1.0+g1a2b3c4``; with ``.dirty`` when a file is changed.

    Without a checkout the commit is that of ``ONNXPROOF_GIT_SHA``, which an image sets when it is
    built; without either it is the plain version.
    """
    commit = _checkout_commit() or os.environ.get("ONNXPROOF_GIT_SHA", "")[:7]
    return f"{package_version()}+g{commit}" if commit else package_version()


def _checkout_commit() -> str:
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return ""
    # git, not the files of .git: worktrees and packed refs are its own affair.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty=.dirty"]
    command += ["--exclude=*", "--abbrev=7"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
