"""What a consumer has who has nothing of ours: mlflow, onnxruntime, and for the replay onnx."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose registry has the digits network as champion."""
    from onnxproof.api import export_model

    before = dict(os.environ)
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name in [
            variable for variable in os.environ if variable.startswith(("MLFLOW_", "ONNXPROOF_"))
        ]:
            patch.delenv(name)
        patch.setenv("ONNXPROOF_HOME", str(home))
        subprocess.run([sys.executable, "-m", "examples.digits_cnn"], check=True)
        outcome = export_model("digits-cnn", overrides=["benchmark.samples=5"])
    assert outcome.model_uri == "models:/digits-cnn/1"
    os.environ.clear()
    os.environ.update(before)
    return home


@pytest.fixture(scope="module")
def consumer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with only mlflow and onnxruntime."""
    folder = tmp_path_factory.mktemp("consumer")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install(python, "mlflow", "onnxruntime")
    return python


def install(python: Path, *names: str) -> None:
    pins = ["--constraint", str(ROOT / "constraints.txt")]
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *pins, *names], check=True)


def environment_of(home: Path, python: Path) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(home),
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
    }


def run(python: Path, home: Path, code: str) -> Any:
    """What the code prints as its last line, as JSON."""
    answer = subprocess.run(
        [str(python), "-c", textwrap.dedent(code)],
        cwd=home,
        env=environment_of(home, python),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    with np.load(ROOT / "artifacts" / "digits_test.npz") as file:
        return file["x"][:count], file["y"][:count]


def test_pyfunc_predicts_with_mlflow_and_onnxruntime_alone(
    consumer: Path, registered: Path
) -> None:
    images, _ = rows(3)
    found = run(
        consumer,
        registered,
        f"""
        import importlib.util, json
        import mlflow, numpy as np
        model = mlflow.pyfunc.load_model("models:/digits-cnn@champion")
        image = np.array({images.tolist()!r}, dtype="float32")
        logits = model.predict({{"image": image}})["logits"]
        names = ["torch", "onnx", "onnxproof", "prefect"]
        print(json.dumps({{
            "top": logits.argmax(1).tolist(), "shape": logits.shape,
            "ours": [name for name in names if importlib.util.find_spec(name)],
            "version": model.metadata.metadata["onnxproof.flow_version"],
        }}))
        """,
    )
    assert (found["shape"], found["ours"]) == ([3, 10], [])
    assert found["version"].startswith("0.1.0")
    assert found["top"] == predicted_by_pytorch(images)


def test_the_raw_file_runs_in_onnx_runtime(consumer: Path, registered: Path) -> None:
    found = run(
        consumer,
        registered,
        """
        import json, os
        import mlflow, numpy as np, onnxruntime
        folder = mlflow.artifacts.download_artifacts("models:/digits-cnn@champion")
        session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"))
        image = np.zeros((256, 1, 8, 8), dtype="float32")
        (logits,) = session.run(None, {"image": image})
        print(json.dumps({"shape": logits.shape, "files": sorted(os.listdir(folder))}))
        """,
    )
    assert found["shape"] == [256, 10]
    assert not [name for name in found["files"] if name.endswith(".data")], "one file is enough"
    assert {"replay.py", "proof.json", "report.md", "requirements.txt"} <= set(found["files"])


def test_mlflow_serves_it_over_http(consumer: Path, registered: Path) -> None:
    images, _ = rows(2)
    with served(consumer, registered) as url:
        body = json.dumps({"inputs": {"image": images.tolist()}}).encode()
        request = urllib.request.Request(
            f"{url}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            logits = json.load(answer)["predictions"]["logits"]
    assert np.argmax(logits, axis=1).tolist() == predicted_by_pytorch(images)


@contextmanager
def served(python: Path, home: Path) -> Iterator[str]:
    port = free_port()
    command = [str(python.with_name("mlflow")), "models", "serve", "--env-manager", "local"]
    command += ["-m", "models:/digits-cnn@champion", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=home,
            env=environment_of(home, python),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server, home / "serve.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_the_proof_replays_with_onnx_beside_them(consumer: Path, registered: Path) -> None:
    install(consumer, "onnx")
    found = run(
        consumer,
        registered,
        """
        import json, subprocess, sys
        import mlflow
        folder = mlflow.artifacts.download_artifacts("models:/digits-cnn@champion")
        command = [sys.executable, folder + "/replay.py"]
        answer = subprocess.run(command, capture_output=True, text=True)
        print(json.dumps([answer.returncode, answer.stdout + answer.stderr]))
        """,
    )
    assert found[0] == 0, found[1]
    assert "the proof holds on CPUExecutionProvider: 43 sets" in found[1]


def predicted_by_pytorch(images: np.ndarray) -> list[int]:
    import torch
    from safetensors.torch import load_file

    from examples import digits_cnn

    model = digits_cnn.build()
    model.load_state_dict(load_file(ROOT / digits_cnn.WEIGHTS))
    with torch.no_grad():
        return [int(digit) for digit in model.eval()(torch.from_numpy(images)).argmax(1)]
