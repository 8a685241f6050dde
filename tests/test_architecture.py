"""Rules of the repository that no contract of import-linter (``pyproject.toml``) can say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "mlflow", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "onnxslim", "pandas",
    "prefect", "pydantic", "scipy", "torch",
}  # fmt: skip
FOLDERS = ("src", "flows", "tasks", "examples", "benchmarks", "tests")
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 60
MAX_MODULES = 8


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module))
    return {name.partition(".")[0] for name in names}


def test_modules_of_onnxproof_stand_in_packages() -> None:
    package = ROOT / "src" / "onnxproof"
    modules = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES, modules


def test_packages_say_what_they_hold_and_import() -> None:
    silent = [
        name_of(path)
        for path in sorted((ROOT / "src" / "onnxproof").glob("*/__init__.py"))
        if not re.search(r"Imports\s", ast.get_docstring(ast.parse(path.read_text())) or "")
    ]
    assert silent == []


def test_unit_tests_need_no_prefect() -> None:
    paths = sources("tests/unit", "tests/helpers")
    found = {name_of(path): imported(path) & {"prefect", "flows", "tasks"} for path in paths}
    assert {name: packages for name, packages in found.items() if packages} == {}


def test_deployments_are_data() -> None:
    assert [name_of(path) for path in sources("deployments")] == []


def test_no_module_and_no_function_is_long() -> None:
    long = []
    for path in sources(*FOLDERS):
        text = path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > MAX_MODULE_LINES:
            long.append(f"{name_of(path)}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{name_of(path)}: {node.name} has {lines} lines")
    assert long == []


def test_no_flow_or_task_hides_an_installed_package() -> None:
    # Prefect puts flows/ first on sys.path, and flows/onnx.py would be everyone's onnx.
    taken = set(metadata.packages_distributions()) | sys.stdlib_module_names
    names = {path.stem for path in (ROOT / "flows").iterdir()} - {"__init__", "__pycache__"}
    assert names & taken == set()


def test_no_file_names_a_machine() -> None:
    places = re.compile(r"(?<!\w)/(?:root|home|Users|work)/\w")
    found = [
        f"{path}: {line.strip()}"
        for path in files_of_the_repository()
        for line in (ROOT / path).read_text(encoding="utf-8", errors="ignore").splitlines()
        if places.search(line)
    ]
    assert found == []


def files_of_the_repository() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        pytest.skip("the tests do not run from a git checkout")
    return [path for path in answer.stdout.splitlines() if (ROOT / path).is_file()]


def test_importing_onnxproof_imports_nothing_heavy() -> None:
    code = f"import sys, onnxproof\nheavy = {HEAVY!r} & set(sys.modules)\nassert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
