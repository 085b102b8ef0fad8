"""Local copies of growing files, what is read of them, and which console may write them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from console.hosts.pull import local_copy
from console.hosts.pull.local_copy import GrowingFile, RunReader, RunsFolder
from console.runs import event_index
from console.runs.run_view import RunView, reduce
from engine.contract import events
from engine.contract.settings import RunId
from tests.console.hosts.small_disk import fill

RUN, KEY = RunId("A", 42), "a" * 32
LINES = [events.encode(events.Event(seq, 1.0, events.Progress(seq, 9, "texts"))) + b"\n" for seq in range(9)]


def test_the_hash_covers_appended_bytes_and_survives_reopening(tmp_path: Path) -> None:
    path, content = tmp_path / "run" / "log.txt", os.urandom(300)
    file = GrowingFile(path)
    for start in range(0, 300, 70):
        file.append(content[start : start + 70])
    for one in (file, GrowingFile(path)):
        assert (one.size, one.sha256) == (300, hashlib.sha256(content).hexdigest())
    assert path.read_bytes() == content


def test_a_file_that_starts_over_is_not_mixed_with_its_old_content(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "log.txt")
    file.append(b"of a job that was requeued")
    file.start_over()
    file.append(b"begins again")
    assert (tmp_path / "log.txt").read_bytes() == b"begins again" and file.sha256 == hashlib.sha256(
        b"begins again"
    ).hexdigest()
    assert (tmp_path / "log.txt.replaced").read_bytes() == b"of a job that was requeued"


def test_a_full_disk_leaves_a_copy_as_it_was(small_disk: Path) -> None:
    file = GrowingFile(small_disk / "log.txt")
    file.append(b"whole")
    fill(small_disk, 10_000)
    with pytest.raises(OSError, match="No space left"):
        file.append(os.urandom(1 << 20))
    assert (small_disk / "log.txt").read_bytes() == b"whole" and file.size == 5


def test_only_whole_lines_of_events_are_read_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, path, content = RunReader(tmp_path), tmp_path / "events.jsonl", b"".join(LINES)
    view = RunView(RUN)
    reduced: list[events.Event] = []

    def counting_reduce(view: RunView, found: Iterable[events.Event]) -> RunView:
        reduced.extend(one := list(found))
        return reduce(view, one)

    monkeypatch.setattr(event_index, "reduce", counting_reduce)
    for end in range(0, len(content) + 1, 7):
        path.write_bytes(content[:end])
        view, _ = reader.read(view)
        assert view.next_seq == len(reduced) == content[:end].count(b"\n")
    assert [event.seq for event in reduced] == [*range(len(reduced))]


def test_many_events_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_copy, "READ_SIZE", 2 * len(LINES[0]) + 5)
    reader, view, more, parts = RunReader(tmp_path), RunView(RUN), True, [0]
    (tmp_path / "events.jsonl").write_bytes(b"".join(LINES))
    while more:
        view, more = reader.read(view)
        parts.append(view.next_seq)
    assert parts == [0, 2, 4, 6, 8, 9]


def test_one_console_writes_and_another_does_once_the_first_is_closed(tmp_path: Path) -> None:
    first, second = RunsFolder(tmp_path / "runs"), RunsFolder(tmp_path / "runs")
    assert first.try_lock() and not first.try_lock() and first.writable
    assert not second.try_lock() and not second.writable
    assert f"pid {os.getpid()}" in second.other_writer and not first.other_writer
    first.close()
    assert second.try_lock() and not second.other_writer
    second.close()


def test_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from console.hosts.pull.local_copy import RunsFolder;"
        "folder = RunsFolder(pathlib.Path(sys.argv[1])); print(folder.try_lock(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"True\n"
        folder = RunsFolder(tmp_path)
        assert not folder.try_lock() and f"pid {holder.pid}" in folder.other_writer
        holder.send_signal(signal.SIGKILL)
    assert folder.try_lock()
    folder.close()


def test_who_may_not_write_takes_no_lock_and_keeps_a_private_copy_of_the_live_one(tmp_path: Path) -> None:
    writer, reader = RunsFolder(tmp_path), RunsFolder(tmp_path, may_write=False)
    writer.try_lock()
    GrowingFile(writer.copy_folder(RUN, KEY, ("events", "log")) / "events.jsonl").append(b"live")
    assert not reader.try_lock() and not reader.other_writer
    folder = reader.copy_folder(RUN, KEY, ("events",))
    GrowingFile(folder / "events.jsonl").append(b" and more")
    assert (folder / "events.jsonl").read_bytes() == b"live and more"
    assert (writer.live(RUN, KEY) / "events.jsonl").read_bytes() == b"live"
    assert (reader.live_size(RUN, KEY), reader.live_size(RUN, "b" * 32)) == (4, None)
    reader.close()
    assert not folder.exists() and reader.newest_launch(RUN) == KEY
    writer.close()


def test_the_private_copy_of_a_killed_reader_is_deleted_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import pathlib, sys, time; from console.hosts.pull.local_copy import RunsFolder;"
        "from engine.contract.settings import RunId; folder = RunsFolder(pathlib.Path(sys.argv[1]), may_write=False);"
        "print(folder.copy_folder(RunId('A', 42), 'a' * 32, ('events',)), flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "runs")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    living = RunsFolder(tmp_path / "runs", may_write=False)
    kept = living.copy_folder(RUN, KEY, ("events",))
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as reader:
        assert reader.stdout is not None
        left = Path(reader.stdout.readline().decode().strip())
        assert left.is_dir() and left.is_relative_to(tmp_path)
        reader.send_signal(signal.SIGKILL)
    other = RunsFolder(tmp_path / "runs", may_write=False)
    other.copy_folder(RUN, KEY, ("events",))
    assert kept.is_dir() and not left.parents[1].exists()
    living.close()
    other.close()
    assert [path.name for path in tmp_path.iterdir() if path.name != "runs"] == []


def test_a_folder_that_cannot_be_made_has_no_writer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = RunsFolder(tmp_path / "file" / "runs")
    assert not folder.try_lock() and "Not a directory)" in folder.other_writer
    assert folder.write_error == f"{folder.path}: Not a directory"
    (tmp_path / "file").unlink()
    assert folder.try_lock() and not folder.write_error
    folder.close()


def test_a_live_copy_that_its_writer_removes_while_it_is_measured_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunsFolder(tmp_path)
    folder.live(RUN, KEY).mkdir(parents=True)
    assert folder.live_size(RUN, KEY) == 0
    monkeypatch.setattr(Path, "is_file", lambda _: True)  # it was there a moment ago
    assert folder.live_size(RUN, KEY) is None
