"""Durable writes: the old file or folder whole, or the new one whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.contract import durable
from engine.contract.durable import write_dir_atomically, write_durably


def test_a_durable_write_creates_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_durably(path, b"one")
    write_durably(path, b"two")
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_durably(path, b"one")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]


def test_a_folder_is_written_over_nothing_or_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        write_dir_atomically(tmp_path / name, {"a": b"1", "b": b"2"})
        assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == {"a": b"1", "b": b"2"}


def test_a_full_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(OSError, match="not empty"):
        write_dir_atomically(tmp_path / "full", {"a": b"1"})
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine"]


def test_a_failed_folder_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, content: bytes) -> None:
        if path.name == "b":
            raise OSError("disk full")
        path.write_bytes(content)

    monkeypatch.setattr(durable, "write_durably", broken)
    with pytest.raises(OSError, match="disk full"):
        write_dir_atomically(tmp_path / "folder", {"a": b"1", "b": b"2"})
    assert list(tmp_path.iterdir()) == []
