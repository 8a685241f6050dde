from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxproof.benchmark import throttling
from onnxproof.benchmark.throttling import Throttling, throttled


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any counter."""
    monkeypatch.setattr(throttling, "CGROUP", tmp_path / "cpu.stat")
    monkeypatch.setattr(throttling, "CPUS", tmp_path / "cpus")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def heat(machine: Path, count: int) -> None:
    for number in os.sched_getaffinity(0):
        folder = machine / "cpus" / f"cpu{number}" / "thermal_throttle"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "core_throttle_count").write_text(f"{count}\n", encoding="ascii")


def a_gpu_that_says(bits: str, machine: Path) -> None:
    program = machine / "bin" / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 'NVIDIA H200, {bits}'\n", encoding="ascii")
    program.chmod(0o755)


def reasons(before: Throttling) -> list[str]:
    return [warning.reason for warning in throttled(before, Throttling.now())]


def test_a_machine_that_tells_nothing_is_not_suspect(machine: Path) -> None:
    assert Throttling.now() == Throttling()
    assert reasons(Throttling.now()) == []


def test_a_processor_that_got_too_hot_meanwhile_is_suspect(machine: Path) -> None:
    heat(machine, 3)
    before = Throttling.now()
    assert reasons(before) == []  # what was before is no matter
    heat(machine, 5)
    count = 2 * len(os.sched_getaffinity(0))
    assert reasons(before) == [f"a processor was too hot {count} times"]


def test_a_control_group_that_used_up_its_share_is_suspect(machine: Path) -> None:
    stat = machine / "cpu.stat"
    stat.write_text("usage_usec 5\nnr_periods 9\nnr_throttled 4\n", encoding="ascii")
    before = Throttling.now()
    assert reasons(before) == []
    stat.write_text("usage_usec 7\nnr_periods 19\nnr_throttled 11\n", encoding="ascii")
    (message,) = throttled(before, Throttling.now())
    assert (message.rule, message.runner, message.where) == (
        "clocks throttled",
        "all",
        "this machine",
    )
    assert message.reason == "the control group used up its share 7 times"


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("0x0000000000000000", []),
        ("0x0000000000000001", []),
        ("0x0000000000000004", []),
        ("0x0000000000000040", ["NVIDIA H200: hardware thermal slowdown"]),
        (
            "0x00000000000000a4",
            ["NVIDIA H200: software thermal slowdown", "NVIDIA H200: hardware power brake"],
        ),
        ("[N/A]", []),
    ],
    ids=["none", "idle", "a power cap", "too hot", "two at once", "not told"],
)
def test_a_gpu_says_itself_what_slows_it(machine: Path, bits: str, message: list[str]) -> None:
    before = Throttling.now()
    a_gpu_that_says(bits, machine)
    assert reasons(before) == message


def test_a_driver_that_does_not_answer_tells_nothing(machine: Path) -> None:
    a_gpu_that_says("", machine)
    (machine / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n", encoding="ascii")
    assert reasons(Throttling.now()) == []
