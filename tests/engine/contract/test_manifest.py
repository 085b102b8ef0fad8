"""Manifests: paths that stay inside, fingerprints that notice every change."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.workspace import seal
from engine.contract import manifest, run_folder
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import size_and_sha256, unsafe_path_reason
from tests.console.hosts.agent.odd_files import NOT_FILES

HASH = "0" * 64


def test_what_the_agent_seals_the_contract_reads(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_bytes(b"b")
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 9000)
    (tmp_path / ".a.bin.1.tmp").write_bytes(b"left over")
    (tmp_path / "link").symlink_to("/etc/passwd")
    seal(tmp_path, "k")
    seal(tmp_path, "k")  # sealing again finds the same files
    sealed = manifest.decode((tmp_path / "manifest.json").read_bytes())
    assert [entry.path for entry in sealed.files] == ["a.bin", "sub/b.txt"]
    assert all(size_and_sha256(tmp_path / entry.path)[1] == entry.sha256 for entry in sealed.files)


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "",
        ".",
        "a//b",
        "a/./b",
        "a\nb",
        "a\0b",
        "-rf",
        "a/-b",
        "a\\b",
        "a\u202eb",
        "a/",
    ],
)
def test_paths_that_could_leave_or_mislead_are_refused(path: str) -> None:
    assert unsafe_path_reason(path)


@given(st.text())
def test_a_safe_path_stays_inside(path: str) -> None:
    root = Path("/root/of/runs")
    assert unsafe_path_reason(path) or root in (root / path).resolve().parents


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(0, 99)), unique_by=lambda t: t[0]))
def test_the_fingerprint_ignores_order_and_changes_with_the_content(files: list[tuple[str, int]]) -> None:
    entries = tuple(manifest.FileEntry(path, size, HASH) for path, size in files)
    print_ = manifest.fingerprint(entries)
    assert print_ == manifest.fingerprint(entries[::-1])
    for number, entry in enumerate(entries):
        changed = (*entries[:number], manifest.FileEntry(entry.path, entry.size + 1, HASH), *entries[number + 1 :])
        assert manifest.fingerprint(changed) != print_


def body(**changes: Any) -> bytes:
    files = [{"path": "a", "size": 1, "sha256": HASH}]
    entries = (manifest.FileEntry("a", 1, HASH),)
    return json.dumps({"key": "k", "files": files, "fingerprint": manifest.fingerprint(entries), **changes}).encode()


def test_a_valid_manifest_is_decoded() -> None:
    assert manifest.decode(body()).files[0].path == "a"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        body(fingerprint=HASH),
        body(files=[{"path": "../a", "size": 1, "sha256": HASH}]),
        body(files=[{"path": "a", "size": -1, "sha256": HASH}]),
        body(files=[{"path": "a", "size": 1, "sha256": "short"}]),
    ],
)
def test_a_broken_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        manifest.decode(content)


@pytest.mark.fault(
    "odd files in a run folder that is sealed: folders, FIFOs, symlinks, names that no capsule can have",
    "the other files are sealed; what is left out is named in the manifest",
)
@pytest.mark.timeout(30)
@pytest.mark.parametrize("odd", NOT_FILES)
def test_what_is_no_file_is_left_out_and_named(tmp_path: Path, odd: str) -> None:
    (tmp_path / "log.txt").write_bytes(b"a log")
    NOT_FILES[odd](tmp_path / "events.jsonl")
    if odd == "a folder":
        (tmp_path / "events.jsonl" / "inside").write_bytes(b"")
    seal(tmp_path, "k")
    sealed = manifest.decode((tmp_path / "manifest.json").read_bytes())
    assert [entry.path for entry in sealed.files] == ["log.txt"]
    assert [one.path for one in sealed.left_out] == ["events.jsonl"]
    assert sealed.left_out[0].reason.startswith("it is a ")


@pytest.mark.parametrize("name", [b"new\nline", b"-rf", b"\xff\xfe", "a\u202eb".encode()])
def test_a_name_that_no_capsule_can_have_keeps_no_other_file_from_being_sealed(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "log.txt").write_bytes(b"a log")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"odd")
    seal(tmp_path, "k")
    sealed = manifest.decode((tmp_path / "manifest.json").read_bytes())
    assert [entry.path for entry in sealed.files] == ["log.txt"]
    assert len(sealed.left_out) == 1 and sealed.left_out[0].reason.startswith("its name ")


def test_a_file_of_another_user_is_left_out_and_a_failing_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.txt").write_bytes(b"a log")
    error: OSError = PermissionError(13, "Permission denied")

    def refuse(path: Path) -> None:
        raise error

    monkeypatch.setattr(run_folder, "open_regular", refuse)
    seal(tmp_path, "k")
    sealed = manifest.decode((tmp_path / "manifest.json").read_bytes())
    assert sealed.left_out == (manifest.LeftOut("log.txt", "Permission denied"),)
    error = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output error"):
        run_folder.build_manifest(tmp_path, "k")


def test_files_in_hidden_folders_are_sealed_and_hidden_files_are_not(tmp_path: Path) -> None:
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / ".cache")
    assert [one["path"] for one in run_folder.build_manifest(tmp_path, "k")["files"]] == [".cache/file"]
