"""What works on this machine, one finding each; looking changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Literal

from onnxproof.errors import BadInput, OnnxproofError, ServerUnreachable
from onnxproof.pipeline.resolve_spec import catalog_names
from onnxproof.settings import Settings, require_servers, shown_url

NEEDED: Final = ("torch", "onnx", "onnxscript", "onnxsim", "onnxslim", "mlflow", "prefect")
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")
FREE_GB: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer; ``bad`` keeps onnxproof from working, a ``note`` is good to know."""

    name: str
    outcome: Literal["good", "note", "bad"]
    text: str
    exit_code: int = 0


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Every finding, in the order in which a person would ask."""
    return (
        _machine(),
        *_distributions(),
        _runtime(),
        *_providers(),
        _prefect_server(),
        _servers(settings),
        _home(settings),
        _catalog(settings),
        _allowed(settings),
    )


def _machine() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    text = (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {memory:.0f} GB memory"
    )
    return Finding("machine", "good", text)


def _distributions() -> Iterator[Finding]:
    for name in ("onnxproof", *NEEDED):
        if version := _version(name):
            yield Finding(name, "good", version)
        else:
            yield _bad(name, f"is not installed; `pip install {name}`")


def _runtime() -> Finding:
    found = {name: version for name in RUNTIMES if (version := _version(name))}
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    if len(found) == 1:
        return Finding("runtime", "good", text)
    if found:
        # Both wheels write the folder onnxruntime/, and the one installed last wins file by file.
        return _bad("runtime", f"{text} are both installed; uninstall both, then install one")
    return _bad("runtime", "no ONNX Runtime; `pip install onnxproof[cpu]` or `onnxproof[gpu]`")


def _providers() -> Iterator[Finding]:
    from onnxproof.runtime import available_providers

    try:
        providers = available_providers()
    except ImportError as error:
        yield _bad("providers", f"ONNX Runtime does not import: {error}")
        return
    yield Finding("providers", "good", ", ".join(providers))


def _prefect_server() -> Finding:
    version = _version("fastapi")
    if version is None:
        return _bad("fastapi", "is not installed, and Prefect's server needs it")
    if tuple(int(part) for part in version.split(".")[:2]) >= (0, 151):
        return _bad("fastapi", f"{version} keeps Prefect's server from starting; take <0.151")
    return Finding("fastapi", "good", version)


def _servers(settings: Settings) -> Finding:
    prefect = shown_url(settings.prefect_api_url or "") or "temporary server"
    text = f"MLflow {shown_url(settings.tracking_uri)}, Prefect {prefect}"
    try:
        require_servers(settings)
    except OnnxproofError as error:
        return Finding("servers", "bad", str(error), ServerUnreachable.exit_code)
    return Finding("servers", "good", text)


def _home(settings: Settings) -> Finding:
    existing = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return _bad("home", f"{settings.home} cannot be written; set ONNXPROOF_HOME")
    free = shutil.disk_usage(existing).free / 1e9
    text = f"{settings.home}, {free:.0f} GB free"
    return Finding("home", "good" if free > FREE_GB else "note", text)


def _catalog(settings: Settings) -> Finding:
    names = ", ".join(catalog_names(settings.catalog))
    if not names:
        return Finding("catalog", "note", f"{settings.catalog} holds no spec")
    return Finding("catalog", "good", f"{names} in {settings.catalog}")


def _allowed(settings: Settings) -> Finding:
    if settings.allow:
        return Finding("allowed", "good", f"code of {', '.join(settings.allow)}")
    text = "no package; a deployed flow then loads no code (set ONNXPROOF_ALLOW)"
    return Finding("allowed", "note", text)


def _bad(name: str, text: str) -> Finding:
    return Finding(name, "bad", text, BadInput.exit_code)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
