from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from mlflow import MlflowClient

from onnxproof.pipeline import plan
from onnxproof.proof.versions import flow_version
from onnxproof.records import OperatorReport, Proof
from onnxproof.usercode import import_following
from tests.flows.conftest import Ended, command, environment_for
from tests.helpers import models

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[3]
Program = Callable[..., Ended]


def test_export_verify_and_show_are_one_story(
    onnxproof: Program, write_spec: Callable[..., Path], registry: Path
) -> None:
    ended = onnxproof("export", write_spec())
    assert ended.code == 0, ended.text
    assert "proven toy version 1" in ended.text
    assert "models:/toy/1 (challenger, champion)" in ended.text
    outcome = ended.outcome
    assert (outcome["status"], outcome["exit_code"]) == ("proven", 0)
    assert outcome["model_uri"] == "models:/toy/1"
    assert Path(outcome["onnx_path"]).is_file()
    assert Path(outcome["proof_path"]).is_file()

    again = onnxproof("export", write_spec())
    assert (again.code, again.outcome["status"]) == (0, "unchanged")
    assert again.outcome["onnx_path"] == outcome["onnx_path"]

    verified = onnxproof("verify", "models:/toy@champion")
    assert verified.code == 0
    assert "the proof holds on CPUExecutionProvider" in verified.text

    shown = onnxproof("show", "models:/toy@champion")
    assert shown.text.startswith("# toy version 1: proven\n")
    proof = Proof.model_validate_json(onnxproof("show", "models:/toy/1", "--json").text)
    assert proof == Proof.model_validate_json(Path(outcome["proof_path"]).read_text())


def test_the_flow_version_is_on_run_version_and_in_the_file(
    onnxproof: Program, write_spec: Callable[..., Path], registry: Path
) -> None:
    import onnx

    outcome = onnxproof("export", write_spec()).outcome
    client = MlflowClient()
    version = client.get_model_version("toy", "1")
    assert version.run_id is not None
    graph = onnx.load(outcome["onnx_path"])
    stamped = {prop.key: prop.value for prop in graph.metadata_props}
    assert {
        version.tags["onnxproof.flow_version"],
        client.get_run(version.run_id).data.tags["onnxproof.flow_version"],
        stamped["onnxproof.flow_version"],
    } == {flow_version()}


def test_a_bare_factory_needs_only_its_inputs(onnxproof: Program, registry: Path) -> None:
    ended = onnxproof(
        "export", "tests.helpers.models:linear",
        "--input", "x=float32[batch, 4]", "--dim", "batch=1..8",
        "--set", "export.strategies=[trace]", "--set", "benchmark.samples=2",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    assert ended.outcome["model_uri"] == "models:/models/1"
    without = onnxproof("export", "tests.helpers.models:linear")
    assert without.code == 2
    assert "tests.helpers.models:linear needs its inputs: add --input" in without.text


def test_init_writes_a_spec_that_exports(onnxproof: Program, tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    ended = onnxproof("init", "tests.helpers.models:tokens", "-o", path)
    assert ended.code == 0, ended.text
    spec = yaml.safe_load(path.read_text())
    assert spec["inputs"]["input_ids"] == "int64[batch, seq] in 0..49"
    assert spec["inputs"]["attention_mask"] == "int64[batch, seq] mask"
    assert onnxproof("init", "tests.helpers.models:tokens", "-o", path).code == 2
    exported = onnxproof("export", path, "--set", "export.strategies=[trace]", "--promote", "never")
    assert exported.code == 0, exported.text
    assert "(challenger)" in exported.text


def test_operators_are_listed_as_lines_or_json_and_with_values_that_are_set(
    onnxproof: Program, write_spec: Callable[..., Path]
) -> None:
    ended = onnxproof("operators", write_spec(), "--set", "export.opset=18")
    assert ended.code == 0, ended.text
    title, row, note = ended.stdout.splitlines()
    assert title == "trace at opset 18"
    assert row.startswith("aten::linear\t1\tGemm\ttests/helpers/models.py:")
    assert note.startswith("ONNX operators are counted as translated")

    strategies = ["--set", "export.strategies=[script,trace]"]
    listed = onnxproof("operators", "tests.helpers.models:linear", "--input", "x=float32[batch, 4]",
                       *strategies, "--json")  # fmt: skip
    reports = [
        OperatorReport.model_validate(distribution) for distribution in json.loads(listed.stdout)
    ]
    assert [report.strategy for report in reports] == ["script", "trace"]
    assert [report.operators[0].name for report in reports] == ["aten::linear", "aten::linear"]
    assert onnxproof("operators", write_spec(), "--set", "export.opsets=18").code == 2


def test_operators_end_with_3_where_no_strategy_gives_a_graph(
    onnxproof: Program, write_spec: Callable[..., Path]
) -> None:
    ended = onnxproof("operators", write_spec(source={"factory": "tests.helpers.models:breaks"}))
    assert ended.code == 3, ended.text
    assert "this module does not want to leave PyTorch" in ended.text


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
def test_a_file_is_a_source_for_init_and_for_a_bare_export(
    onnxproof: Program, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.jit.trace(models.linear(), torch.ones(2, 4)).save("net.pt")
    ended = onnxproof("init", "torchscript:net.pt", "--set", "check.samples=2")
    assert ended.code == 0, ended.text
    assert "net.yaml written" in ended.text
    written = yaml.safe_load(Path("net.yaml").read_text())
    assert written["inputs"] == {"x": "float32[batch, 4]"}
    assert written["check"] == {"samples": 2}
    exported = onnxproof(
        "export", "torchscript:net.pt", "--input", "x=float32[batch, 4]", "--dim", "batch=1..8",
        "--set", "export.strategies=[trace]", "--set", "benchmark.samples=2",
    )  # fmt: skip
    assert exported.code == 0, exported.text
    assert exported.outcome["model_uri"] == "models:/net/1"


def test_a_proof_that_needs_a_library_is_verified_with_it_and_says_so_without(
    onnxproof: Program, registry: Path
) -> None:
    library = pytest.importorskip("onnxruntime_extensions").get_library_path()
    ended = onnxproof(
        "export", "examples/custom_operator_library.yaml", "--allow", "onnxruntime_extensions",
        "--set", "export.strategies=[trace]", "--set", "check.samples=1",
        "--set", "benchmark.samples=2",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    model = "models:/custom-operator-library@champion"
    without = onnxproof("verify", model)
    assert without.code == 2, without.text
    needed = "give a --library for each of onnxruntime_extensions:get_library_path"
    assert needed in without.text
    verified = onnxproof("verify", model, "--library", library)
    assert verified.code == 0, verified.text
    assert "the proof holds on CPUExecutionProvider" in verified.text
    for file, said in (("gone.so", "no file gone.so"), (__file__, "is no library that ONNX Runt")):
        other = onnxproof("verify", model, "--library", file)
        assert other.code == 2, other.text
        assert said in other.text


def test_doctor_finds_this_machine_in_order(onnxproof: Program) -> None:
    ended = onnxproof("doctor")
    assert ended.code == 0, ended.text
    assert "CPUExecutionProvider" in ended.text


@pytest.mark.parametrize("arguments", [["verify", "models:/none/1"], ["show", "models:/none@x"]])
def test_a_model_that_is_not_there_ends_with_2(onnxproof: Program, arguments: list[str]) -> None:
    ended = onnxproof(*arguments)
    assert ended.code == 2
    assert "the registry has no models:/none" in ended.text


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_signal_ends_the_program_and_its_children_within_two_seconds(
    prefect_api: str, registry: Path, write_spec: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    spec = write_spec(source={"factory": "tests.helpers.models:hangs"})
    outcome = tmp_path / "outcome.json"
    program = subprocess.Popen(
        command("export", spec, "--json", outcome),
        cwd=ROOT,
        env=environment_for(prefect_api),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    children = wait_for_stage(program, registry)
    program.send_signal(getattr(signal, name))
    _, alive = psutil.wait_procs(children, timeout=2)
    assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
    _, message = program.communicate(timeout=10)
    if name == "SIGKILL":
        assert program.returncode == -signal.SIGKILL
    else:
        assert program.returncode == 130, message
        assert "interrupted" in message
        assert '"exit_code": 130' in outcome.read_text()


def wait_for_stage(program: subprocess.Popen[str], home: Path) -> list[psutil.Process]:
    """Every process of the program, once the load stage runs in its child."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if list(home.glob("work/toy/*/logs/load.log")):
            time.sleep(0.5)
            return psutil.Process(program.pid).children(recursive=True)
        assert program.poll() is None, program.stderr and program.stderr.read()
        time.sleep(0.1)
    raise AssertionError("the load stage never began")


def test_help_names_every_command_and_exit_code(onnxproof: Program) -> None:
    text = " ".join(onnxproof("--help").text.split())
    for name in ("init", "export", "verify", "show", "doctor"):
        assert f" {name} " in text
    assert "Exit codes: 0 proven or unchanged, 2 bad input" in text
    assert os.environ.get("PREFECT_API_URL") is None


def test_the_spec_is_resolved_once_and_imports_are_followed_once(
    onnxproof: Program, write_spec: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for module, name in ((plan, "resolve_spec"), (import_following, "_reached_names")):
        real = getattr(module, name)

        def counted(*arguments: Any, real: Any = real, name: str = name, **options: Any) -> Any:
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, counted)
    ended = onnxproof("export", write_spec())
    assert ended.code == 0, ended.text
    assert sorted(calls) == ["_reached_names", "resolve_spec"]
