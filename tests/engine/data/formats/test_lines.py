"""Reading lines: ends and marks of every kind, files that have no lines, memory that stays bounded."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.bad_input import BadInput
from engine.data.formats.lines import read_lines

MARK = b"\xef\xbb\xbf"


@given(st.lists(st.binary(max_size=20).filter(lambda part: b"\n" not in part), min_size=1), st.booleans())
def test_lines_are_split_at_newlines_only(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], last: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(b"{}\n" + b"\n".join(parts) + (b"\n" if last else b""))
    lines = list(read_lines(path))
    expected = [b"{}", *parts] if last or parts[-1] else [b"{}", *parts[:-1]]
    assert [line.content for line in lines] == [part.removeprefix(MARK).removesuffix(b"\r") for part in expected]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_a_byte_order_mark_is_removed_from_lines_of_files_that_were_put_together(tmp_path: Path) -> None:
    path = tmp_path / "marked.jsonl"
    path.write_bytes(MARK + b"{}\r\n[]\n" + MARK + b"{}")
    assert [(line.content, line.has_bom) for line in read_lines(path)] == [(b"{}", True), (b"[]", False), (b"{}", True)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (gzip.compress(b"{}"), "is compressed with gzip"),
        ("{}\n".encode("utf-16"), "is UTF-16"),
        (b"PAR1....", "is a Parquet file"),
    ],
    ids=["empty", "gzip", "UTF-16", "Parquet"],
)
def test_a_file_without_lines_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"^{path}: {message}"):
        list(read_lines(path))


def test_folders_pipes_and_missing_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "missing", "no such file"),
        (Path("/dev/zero"), "is not a regular file"),
        (tmp_path / "pipe", "is not a regular file"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(BadInput, match=message):
            list(read_lines(path))


def test_a_line_of_fifty_megabytes_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        for start in (b'{"id": "', b'{"anchor": '):
            file.write(start)
            for _ in range(50):
                file.write(b"[" * (1 << 20))
            file.write(b"\n")
    script = f"""
import resource
from engine.data.formats.check import check_files
from pathlib import Path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(report,) = check_files([Path({str(path)!r})])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(report.lines, report.quarantined["line_too_long"].lines, after - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    message, kilobytes = done.stdout.rsplit(maxsplit=1)
    assert message == "2 [1, 2]"
    assert int(kilobytes) < 20_000
