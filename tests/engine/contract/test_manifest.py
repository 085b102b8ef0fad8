"""Manifests: paths that stay inside, fingerprints that notice every change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hosts.agent.workspace import seal
from engine.contract import manifest
from engine.contract.bad_input import BadInput
from engine.contract.run_folder import size_and_sha256, unsafe_path_reason

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
