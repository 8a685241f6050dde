"""The shape of the repository, and the arrows between its layers that must never exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "mlflow", "numpy", "onnx", "onnxruntime", "onnxscript", "onnxsim", "onnxslim", "pandas",
    "scipy", "torch",
}  # fmt: skip
STAGES = {
    "benchmark", "check", "export", "graph", "localize", "reference", "runtime", "simplify",
    "source", "tracking", "weights",
}  # fmt: skip
TORCH_SIDE = {"export", "localize", "operators", "reference", "source"}
TORCH_MODULES = {"benchmark/memory.py", "benchmark/pytorch.py"}
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 60


class Import(NamedTuple):
    module: str
    top_level: bool


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def every_source() -> list[Path]:
    folders = ("src", "flows", "tasks", "examples", "benchmarks", "tests")
    return [path for folder in folders for path in sources(folder)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[Import]:
    """Everything a module imports, except for type checkers; ``from a import b`` is ``a.b``."""
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text(encoding="utf-8")), True)]
    while waiting:
        node, top_level = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, top_level) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)} has a relative import"
            yield from (Import(f"{node.module}.{each.name}", top_level) for each in node.names)
        inside = top_level and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            children = list(node.orelse)
        waiting += [(child, inside) for child in children]


def offenders(paths: list[Path], banned: set[str], *, top_level: bool = False) -> list[str]:
    """``file -> module`` for each import of a banned package or dotted module."""
    return [
        f"{name_of(path)} -> {each.module}"
        for path in paths
        for each in imports(path)
        if any(each.module == name or each.module.startswith(f"{name}.") for name in banned)
        and (each.top_level or not top_level)
    ]


def test_the_work_knows_no_layer_above_it() -> None:
    assert offenders(sources("src"), {"prefect", "tasks", "flows"}) == []


def test_only_tracking_talks_to_mlflow() -> None:
    paths = [
        path
        for folder in ("src", "tasks", "flows")
        for path in sources(folder)
        if path.parent.name != "tracking"
    ]
    assert offenders(paths, {"mlflow"}) == []


def test_torch_is_imported_on_its_own_side_only() -> None:
    paths = [
        path
        for path in sources("src")
        if path.parent.name not in TORCH_SIDE
        and f"{path.parent.name}/{path.name}" not in TORCH_MODULES
    ]
    assert offenders(paths + sources("tasks") + sources("flows"), {"torch"}) == []


def test_only_the_runtime_opens_sessions() -> None:
    # replay.py is a program for consumers, who have nothing else of ours.
    paths = [
        path for path in sources("src") if path.parent.name != "runtime" and path.stem != "replay"
    ]
    assert offenders(paths + sources("tasks") + sources("flows"), {"onnxruntime"}) == []


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    paths = [path for folder in ("src", "tasks", "flows") for path in sources(folder)]
    assert offenders(paths, HEAVY, top_level=True) == []


def test_a_task_knows_no_flow() -> None:
    assert offenders(sources("tasks"), {"flows"}) == []


def test_a_task_knows_no_other_task() -> None:
    others = {f"tasks.{path.stem}" for path in sources("tasks")} - {
        "tasks.fleet",
        "tasks.policy",
    }
    assert offenders(sources("tasks"), others) == []


def test_a_flow_leaves_the_stages_to_tasks() -> None:
    assert offenders(sources("flows"), {f"onnxproof.{name}" for name in STAGES}) == []


def test_unit_tests_need_no_prefect() -> None:
    assert offenders(sources("tests/unit"), {"prefect", "flows", "tasks"}) == []


def test_deployments_are_data() -> None:
    assert [name_of(path) for path in sources("deployments")] == []


@pytest.mark.parametrize("path", every_source(), ids=name_of)
def test_no_module_and_no_function_is_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, functions)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_no_flow_or_task_hides_an_installed_package() -> None:
    # Prefect puts flows/ first on sys.path, and flows/onnx.py would be everyone's onnx.
    taken = set(metadata.packages_distributions()) | sys.stdlib_module_names
    names = {path.stem for path in sources("flows")} - {"__init__"}
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
    code = (
        "import sys, onnxproof\n"
        f"heavy = {HEAVY | {'prefect', 'pydantic'}!r} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
