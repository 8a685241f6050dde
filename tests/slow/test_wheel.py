from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    # The build tools are among the pins, so nothing is fetched.
    command += ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.slow
def test_the_wheel_holds_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "onnxproof",
        "flows",
        "tasks",
    }


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_its_types(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    expected = {
        path.relative_to(base).as_posix()
        for base, folder in ((ROOT / "src", "onnxproof"), (ROOT, "flows"), (ROOT, "tasks"))
        for path in (base / folder).rglob("*.py")
    }
    assert expected <= names
    assert "onnxproof/py.typed" in names


@pytest.mark.slow
def test_the_wheel_names_its_program_and_its_licence(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert b"onnxproof = flows.cli.app:main" in wheel.read(f"{folder}/entry_points.txt")
    assert b"Apache License" in wheel.read(f"{folder}/licenses/LICENSE")


@pytest.mark.slow
def test_base_dependencies_bring_no_onnx_runtime(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    lines = wheel.read(f"{folder}/METADATA").decode().splitlines()
    found = [line for line in lines if re.match(r"Requires-Dist: onnxruntime(-gpu)?\b(?!-)", line)]
    assert all("extra ==" in line for line in found)
    assert len(found) == 2
