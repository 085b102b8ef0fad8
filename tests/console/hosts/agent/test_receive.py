"""Taking files in: whole and in their places, or not at all, and never outside the folder."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from console.hosts.agent.file_index import Entry
from console.hosts.agent.frames import CHANGED, DATA, END, FILE, FILE_HEAD, BadFrame, FrameDecoder
from console.hosts.agent.receive import BIG_FILE, STAGING, Busy, Receiver, staged_files, staged_name
from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile
from console.hosts.agent.send import OutgoingFile, send_files
from tests.console.hosts.folder_pair import tree, write


def entry(path: str, content: bytes) -> Entry:
    return Entry(path, len(content), hashlib.sha256(content).hexdigest(), False)


@contextmanager
def receiver_into(folder: Path, *files: Entry, aside: str | None = None) -> Iterator[Receiver]:
    with SafeDir(folder, create=True) as root:
        receiver = Receiver(root, files, aside)
        try:
            yield receiver
        finally:
            receiver.close()


def feed(receiver: Receiver, number: int, content: bytes, *, offset: int = 0, how: int = 0) -> None:
    receiver.take(FILE, FILE_HEAD.pack(number, offset))
    receiver.take(DATA, content)
    receiver.take(END, bytes([how]))


def test_files_are_put_in_place_only_when_all_have_arrived(tmp_path: Path) -> None:
    folder = write(tmp_path / "root", {"a": b"old"})
    with receiver_into(folder, entry("a", b"new"), entry("sub/b", b"two")) as receiver:
        feed(receiver, 0, b"new")
        assert tree(folder) == {"a": b"old"}
        feed(receiver, 1, b"two")
        receiver.commit()
    assert tree(folder) == {"a": b"new", "sub/b": b"two"} and not receiver.failures


@pytest.mark.parametrize("size", [1000, BIG_FILE + 1000], ids=["small", "big"])
@pytest.mark.parametrize("damage", ["cut", "grown", "changed", "noticed by the sender"])
def test_a_file_that_differs_from_its_announcement_is_not_put_in_place(tmp_path: Path, size: int, damage: str) -> None:
    right = os.urandom(size)
    wrong = {"cut": right[:-1], "grown": right + b"x", "changed": bytes(size)}.get(damage, right)
    folder = write(tmp_path / "root", {"a": b"old"})
    with receiver_into(folder, entry("a", right), entry("b", b"two")) as receiver:
        feed(receiver, 0, wrong, how=CHANGED if wrong == right else 0)
        feed(receiver, 1, b"two")
        receiver.commit()
    assert tree(folder) == {"a": b"old", "b": b"two"} and set(receiver.failures) == {"a"}
    with SafeDir(folder) as root:
        assert not staged_files(root)


def test_an_interrupted_batch_is_continued_from_its_last_byte(tmp_path: Path) -> None:
    content = os.urandom(BIG_FILE * 2)
    big, half = entry("big", content), BIG_FILE + 12345
    with receiver_into(tmp_path / "root", big) as receiver:
        receiver.take(FILE, FILE_HEAD.pack(0, 0))
        receiver.take(DATA, content[:half])
    with SafeDir(tmp_path / "root") as root:
        assert staged_files(root) == {staged_name(big): (half, hashlib.sha256(content[:half]).hexdigest())}
    with receiver_into(tmp_path / "root", big) as receiver:
        feed(receiver, 0, content[half:], offset=half)
        receiver.commit()
    assert tree(tmp_path / "root") == {"big": content} and receiver.bytes == BIG_FILE * 2 - half


def test_a_staged_beginning_that_has_changed_is_not_continued(tmp_path: Path) -> None:
    content = os.urandom(1000)
    one = entry("a", content)
    write(tmp_path / "root", {"/".join((*STAGING, staged_name(one))): bytes(600)})
    with receiver_into(tmp_path / "root", one) as receiver:
        feed(receiver, 0, content[600:], offset=600)
        receiver.commit()
    assert tree(tmp_path / "root") == {} and set(receiver.failures) == {"a"}


def test_a_second_batch_at_the_same_time_is_refused(tmp_path: Path) -> None:
    with receiver_into(tmp_path / "root"), pytest.raises(Busy), receiver_into(tmp_path / "root"):
        pass


@pytest.mark.parametrize(
    "frames",
    [
        [(DATA, b"x")],
        [(END, b"\0")],
        [(FILE, FILE_HEAD.pack(7, 0))],
        [(FILE, FILE_HEAD.pack(0, 9))],
        [(FILE, FILE_HEAD.pack(0, 0))] * 2,
    ],
)
def test_frames_out_of_order_are_refused(tmp_path: Path, frames: list[tuple[int, bytes]]) -> None:
    with receiver_into(tmp_path / "root", entry("a", b"one")) as receiver, pytest.raises(BadFrame):
        for kind, payload in frames:
            receiver.take(kind, payload)


def test_replaced_files_can_be_kept_aside(tmp_path: Path) -> None:
    folder = write(tmp_path / "root", {"sub/a": b"old"})
    with receiver_into(folder, entry("sub/a", b"new"), aside="kept/1") as receiver:
        feed(receiver, 0, b"new")
        receiver.commit()
    assert tree(folder) == {"sub/a": b"new", "kept/1/sub/a": b"old"}


def test_only_unchanged_files_are_deleted(tmp_path: Path) -> None:
    folder = write(tmp_path / "root", {"x/y/gone": b"old", "stays": b"new", "x/other": b""})
    with receiver_into(folder) as receiver:
        assert receiver.commit([entry("x/y/gone", b"old"), entry("stays", b"old"), entry("never", b"")]) == 1
    assert tree(folder) == {"stays": b"new", "x/other": b""} and not (folder / "x" / "y").exists()


def test_a_file_can_move_up_into_a_folder_that_its_deletion_empties(tmp_path: Path) -> None:
    folder = write(tmp_path / "root", {"x/y/file": b"old"})
    with receiver_into(folder, entry("x/file", b"old")) as receiver:
        feed(receiver, 0, b"old")
        assert receiver.commit([entry("x/y/file", b"old")]) == 1
    assert tree(folder) == {"x/file": b"old"} and not receiver.failures


def test_nothing_is_deleted_when_a_file_did_not_arrive(tmp_path: Path) -> None:
    folder = write(tmp_path / "root", {"old": b"old"})
    with receiver_into(folder, entry("new", b"new")) as receiver:
        feed(receiver, 0, b"NEW")
        assert receiver.commit([entry("old", b"old")]) == 0
    assert tree(folder) == {"old": b"old"}


@pytest.mark.parametrize("link", ["a", "a/b", "a/b/c"])
def test_a_symlink_in_a_path_is_never_written_through(tmp_path: Path, link: str) -> None:
    outside = write(tmp_path / "outside", {"c": b"theirs", "b/c": b"theirs"})
    folder = tmp_path / "root"
    (folder / link).parent.mkdir(parents=True)
    (folder / link).symlink_to(outside / "c" if link == "a/b/c" else outside)
    with receiver_into(folder, entry("a/b/c", b"ours"), entry("d", b"ours")) as receiver:
        feed(receiver, 0, b"ours")
        feed(receiver, 1, b"ours")
        receiver.commit([entry("a/b/c", b"theirs")] if link != "a/b/c" else [])
    assert tree(outside) == {"c": b"theirs", "b/c": b"theirs"}
    assert tree(folder) == {"d": b"ours"} and set(receiver.failures) == {"a/b/c"} and (folder / link).is_symlink()


def test_a_staging_folder_that_is_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / STAGING[0]).symlink_to(tmp_path / "outside")
    with pytest.raises(UnexpectedFile), receiver_into(tmp_path / "root", entry("a", b"one")):
        pass
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("planted", ["symlink", "hard link"])
def test_a_file_planted_in_staging_is_not_written_to(tmp_path: Path, planted: str) -> None:
    victim = write(tmp_path, {"victim": b"theirs"}) / "victim"
    one = entry("a", b"theirs and ours")
    place = (tmp_path / "root").joinpath(*STAGING, staged_name(one))
    place.parent.mkdir(parents=True)
    for offset in (0, 6):
        place.unlink(missing_ok=True)
        place.symlink_to(victim) if planted == "symlink" else place.hardlink_to(victim)
        with receiver_into(tmp_path / "root", one) as receiver:
            feed(receiver, 0, b"theirs and ours"[offset:], offset=offset)
            receiver.commit()
        assert victim.read_bytes() == b"theirs"


class Swapper:
    """Swaps a folder for a symlink to another and back, as fast as it can."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self._thread = threading.Thread(target=self._swap, daemon=True)
        self._folder = folder
        self._outside = outside
        self._ended = threading.Event()
        self.swaps = 0

    def _swap(self) -> None:
        aside, trash = self._folder.with_name("aside"), self._folder.with_name("trash")
        trash.mkdir()
        thrown = count()
        while not self._ended.is_set():
            self._folder.rename(aside)
            with suppress(FileExistsError):  # a folder made in the moment in which there was nothing
                self._folder.symlink_to(self._outside)
            while aside.exists():
                self._folder.rename(trash / str(next(thrown)))
                with suppress(OSError):  # again one made in such a moment, and filled: it must go, too
                    aside.rename(self._folder)
            self.swaps += 1

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def __enter__(self) -> Swapper:
        self._thread.start()
        return self


def test_folders_swapped_for_symlinks_during_receiving_put_no_byte_outside(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (folder / "d" / "e").mkdir(parents=True)
    (outside / "e").mkdir()
    draw = random.Random(3)
    placed = refused = 0
    with Swapper(folder / "d", outside) as swapper:
        while swapper.is_alive() and (swapper.swaps < 300 or not refused or not placed):
            content = draw.randbytes(10)
            names = [f"d/{draw.randrange(4)}", f"d/e/{draw.randrange(4)}"]
            with receiver_into(folder, *(entry(name, content) for name in names)) as receiver:
                for number in range(2):
                    feed(receiver, number, content)
                receiver.commit()
            refused += len(receiver.failures)
            placed += 2 - len(receiver.failures)
        assert swapper.is_alive()
    assert tree(outside) == {}


def test_folders_swapped_for_symlinks_during_sending_leak_no_byte(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"f": b"SECRET"})
    folder = write(tmp_path / "root", {"d/f": b"public"})
    sent = refused = 0
    with Swapper(folder / "d", outside) as swapper:
        while swapper.is_alive() and (swapper.swaps < 300 or not refused or not sent):
            with SafeDir(folder) as root:
                content = b"".join(send_files(root, [OutgoingFile("d/f", None)]))
            assert b"SECRET" not in content
            found = [kind for kind, _ in FrameDecoder().feed(content)]
            sent += DATA in found
            refused += DATA not in found
        assert swapper.is_alive()
