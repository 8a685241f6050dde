from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from onnxproof.artifact import Artifact, atomic_write, sha256_of


def test_an_artifact_describes_a_file_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.onnx").write_bytes(b"graph")
    artifact = Artifact.of(tmp_path, "deep/model.onnx")
    assert artifact.path == "deep/model.onnx"
    assert artifact.size_bytes == 5
    assert artifact.sha256 == hashlib.sha256(b"graph").hexdigest()


def test_an_artifact_says_the_same_in_another_folder(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"1")
    assert Artifact.of(tmp_path / "here", "x") == Artifact.of(tmp_path / "there", "x")


@pytest.mark.parametrize("change", ["same length", "gone", "folder"])
def test_an_artifact_notices_that_its_file_changed(tmp_path: Path, change: str) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"graph")
    artifact = Artifact.of(tmp_path, "model.onnx")
    assert artifact.unchanged(tmp_path)
    file.unlink()
    if change == "same length":
        file.write_bytes(b"grapH")
    elif change == "folder":
        file.mkdir()
    assert not artifact.unchanged(tmp_path)


def test_an_artifact_is_frozen() -> None:
    artifact = Artifact(path="x", sha256="0" * 64, size_bytes=0)
    with pytest.raises(ValidationError, match="frozen"):
        artifact.path = "y"  # type: ignore[misc]


def test_a_digest_is_of_all_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(data)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_whole_write_takes_the_name_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with atomic_write(path) as draft:
        draft.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_a_broken_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_other_users_may_read_what_was_written(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "x") as draft:
        draft.write_text("open")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644
