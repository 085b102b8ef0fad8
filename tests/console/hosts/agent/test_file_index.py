"""Counting a folder: right after every kind of change, and quick when nothing changed."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import file_index as module
from console.hosts.agent.file_index import Entry, FileIndex, HashCache, excluded, fingerprint, index_files
from console.hosts.agent.safe_dir import SafeDir
from console.hosts.transfer.request import EXCLUDES
from engine.contract import manifest
from tests.console.hosts.folder_pair import write

LONG_AGO = 1_600_000_000_123_456_789


def counted(folder: Path, cache: Path | None = None, excludes: tuple[str, ...] = ()) -> FileIndex:
    with SafeDir(folder) as root:
        hashes = HashCache(cache)
        found = index_files(root, excludes, hashes)
        hashes.save()
        return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read, not remembered."""
    read: list[str] = []
    real = module._hash_unchanged

    def note(folder: int, name: str) -> Any:
        read.append(name)
        return real(folder, name)

    monkeypatch.setattr(module, "_hash_unchanged", note)
    return read


@pytest.fixture
def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files, and a clock that is past the moment in which a change could go unseen."""
    folder = write(tmp_path / "folder", {"a": b"one", "sub/b": b"two"})
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + module.COARSE_TICK_NS)
    return folder


def test_an_index_lists_all_files_and_has_the_capsules_fingerprint(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", {"sub/b": b"two", "a": b"one"})
    (folder / "a").chmod(0o755)
    found = counted(folder)
    assert found.files == [
        Entry("a", 3, hashlib.sha256(b"one").hexdigest(), True),
        Entry("sub/b", 3, hashlib.sha256(b"two").hexdigest(), False),
    ]
    listed = tuple(manifest.FileEntry(entry.path, entry.size, entry.sha256) for entry in found.files)
    assert fingerprint(found.files) == manifest.fingerprint(listed)


def test_symlinks_pipes_and_hostile_names_are_listed_as_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", {"a": b"one"})
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    (folder / "-n").touch()
    (folder / "new\nline").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    found = counted(folder)
    assert [entry.path for entry in found.files] == ["a"]
    assert {path for path, _ in found.refused} == {"link", "outside", "pipe", "-n", "new\nline", "\udcff"}


def test_excluded_folders_are_not_opened(tmp_path: Path) -> None:
    left_out = {"m.pt": b"", "x/m.pth": b"", "x/__pycache__/y": b"", ".git/config": b"", ".venv/p": b"", "runs/r": b""}
    folder = write(tmp_path / "folder", {"a": b"one", "x/b": b"", **left_out})
    assert [entry.path for entry in counted(folder, excludes=EXCLUDES).files] == ["a", "x/b"]


def test_unchanged_files_are_not_read_again(settled: Path, tmp_path: Path, reads: list[str]) -> None:
    first = counted(settled, tmp_path / "cache")
    assert sorted(reads) == ["a", "b"]
    assert counted(settled, tmp_path / "cache") == first and len(reads) == 2


def test_a_change_with_the_same_size_and_mtime_is_detected(settled: Path, tmp_path: Path) -> None:
    path = settled / "a"
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    before = counted(settled, tmp_path / "cache")
    path.write_bytes(b"ONE")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    assert counted(settled, tmp_path / "cache") != before


def test_a_replacement_with_the_same_size_and_mtime_is_detected(settled: Path, tmp_path: Path) -> None:
    os.utime(settled / "a", ns=(LONG_AGO, LONG_AGO))
    before = counted(settled, tmp_path / "cache")
    write(tmp_path, {"other": b"ONE"})
    os.utime(tmp_path / "other", ns=(LONG_AGO, LONG_AGO))
    (tmp_path / "other").replace(settled / "a")
    assert counted(settled, tmp_path / "cache") != before


def test_a_hash_computed_within_a_tick_of_the_change_is_not_used(tmp_path: Path, reads: list[str]) -> None:
    folder = write(tmp_path / "folder", {"a": b"one"})
    counted(folder, tmp_path / "cache")
    counted(folder, tmp_path / "cache")
    assert reads == ["a", "a"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 3}', b'{"a": [3, 0, 0, 0, 0, "x"]}', b"\xff"])
def test_a_damaged_cache_is_ignored(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "folder", {"a": b"one"})
    right = counted(folder)
    (tmp_path / "cache").write_bytes(content)
    assert counted(folder, tmp_path / "cache") == right


def test_a_file_that_keeps_changing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "folder", {"a": b"one", "b": b"two"})
    real = module.hash_prefix

    def moving(handle: int, limit: int) -> Any:
        found = real(handle, limit)
        with open(folder / "a", "ab") as file:
            file.write(b".")
        return found

    monkeypatch.setattr(module, "hash_prefix", moving)
    found = counted(folder)
    assert ("a", "it changes while it is read") in found.refused and [entry.path for entry in found.files] == ["b"]


def test_patterns_match_names_anywhere_and_paths_as_a_whole() -> None:
    assert excluded("a/b/model.pt", ["*.pt"]) and excluded("a/__pycache__", ["__pycache__"])
    assert excluded("data/raw", ["data/raw"]) and not excluded("other/data/raw", ["data/raw"])
    assert not excluded("model.ptx", ["*.pt"])
