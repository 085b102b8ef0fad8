"""Takes files in: beside their places, hashed while they come, and put in place only when all of them are on the disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack

from console.hosts.agent.disk import FULL, as_full, check_room, sync_disk
from console.hosts.agent.file_index import Entry, hash_of
from console.hosts.agent.frames import DATA, END, FILE, FILE_HEAD, WHOLE, Garbled
from console.hosts.agent.read_back import ReadBack
from console.hosts.agent.safe_dir import InTheWay, SafeDir
from console.hosts.agent.staging import GO_ON, STAGING, lock, staged_name

BIG = 8 << 20  # bytes; from this on a file is read back while it comes
WHY = {1: "it changed while it was sent", 2: "it is gone", 3: "it is shorter than it was"}
WRITE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Receiver:
    """One batch of files into ``root``.

    Args:
        root: they end up below it; on their way they are in a folder of its own there.
        files: what will come, by number.
        aside: folder below the root where replaced files are kept; None keeps none.

    Raises:
        Busy: another batch is under way.
        DiskFull: there is no room for them.
        InTheWay, OSError: the folder cannot be written to.
    """

    def __init__(self, root: SafeDir, files: Sequence[Entry], aside: str | None = None) -> None:
        self.failures: dict[str, str] = {}
        self.bytes = 0
        self.read_back: list[
            tuple[Entry, os.stat_result]
        ] = []  # big files in place whose hash is of what the disk holds
        self._root = root
        self._files = files
        self._aside = aside
        self._whole: list[int] = []
        self._number: int | None = None
        self._handle: int | None = None
        self._at = 0
        self._digest: hashlib._Hash | ReadBack = hashlib.sha256()
        self._stamps: dict[str, tuple[int, int]] = {}
        with ExitStack() as undo:
            try:
                self._folder = os.dup(root.folder(STAGING, create=True))
                undo.callback(os.close, self._folder)
                self._lock = lock(root)
                undo.callback(os.close, self._lock)
                check_room(root.handle, str(root.path), self._missing())
            except OSError as error:
                raise as_full(error, str(root.path), sum(file.size for file in files)) or error from error
            self._open = undo.pop_all()

    def take(self, kind: int, payload: bytes | memoryview) -> None:
        """The next frame. What is wrong with one file is noted in ``failures``, and the others go on.

        Raises:
            DiskFull: there is no room for it; what came is kept for a later batch.
            Garbled: frames are out of order.
        """
        try:
            if kind == DATA:
                self._write(payload)
            elif kind == FILE:
                self._begin(*FILE_HEAD.unpack(payload))
            elif kind == END:
                self._end(payload[0])
            else:
                raise Garbled(f"a frame of kind {kind} among files")
        except InTheWay as error:
            self._drop_handle()
            self.failures[self._files[self._number or 0].path] = str(error)
        except OSError as error:
            self._failed(error)
        finally:
            if kind == END:
                self._number = None

    def commit(self, remove: Sequence[Entry] = ()) -> int:
        """Put what came whole in place; delete ``remove``, if nothing failed before; returns the number deleted.

        The disk holds the content before the first file is put in place, and their names before this returns.

        Raises:
            DiskFull: a folder finds no room; each file is the old one or the new one.
            OSError: the disk cannot be written.
        """
        if self._number is not None:
            raise Garbled("a batch ends within a file")
        if self._whole or remove:
            try:
                sync_disk(self._root.handle)
                gone = self._remove(remove) if not self.failures else 0
                for number in sorted(self._whole, key=lambda number: self._files[number].path):
                    self._place(self._files[number])
                sync_disk(self._root.handle)
            except OSError as error:
                raise as_full(error, str(self._root.path), 0) or error from error
        else:
            gone = 0
        if not self.failures:
            self._clean()
        return gone

    def close(self) -> None:
        """Leave what is on its way for a later batch."""
        self._drop_handle()
        self._open.close()

    def _begin(self, number: int, offset: int) -> None:
        if self._number is not None or number >= len(self._files) or offset > self._files[number].size:
            raise Garbled(f"file {number} at {offset}")
        self._number, self._at = number, offset
        name, entry = staged_name(self._files[number]), self._files[number]
        if offset:
            self._handle = os.open(name, GO_ON, dir_fd=self._folder)
            if os.fstat(self._handle).st_nlink != 1:
                raise InTheWay(f"{name} has another name elsewhere")
            size, digest = hash_of(self._handle, offset)
            if size != offset:
                raise InTheWay(f"of its first {offset} bytes only {size} are here")
            os.ftruncate(self._handle, offset)
        else:
            self._handle = self._created(name, 0o777 if entry.executable else 0o666)
            digest = hashlib.sha256()
        self._digest = digest if entry.size < BIG else ReadBack(self._handle, digest, offset)

    def _created(self, name: str, mode: int) -> int:
        """A file that nobody else has by any name; what an earlier batch left there gives way."""
        try:
            return os.open(name, WRITE, mode, dir_fd=self._folder)
        except FileExistsError:
            os.unlink(name, dir_fd=self._folder)
        return os.open(name, WRITE, mode, dir_fd=self._folder)

    def _write(self, piece: bytes | memoryview) -> None:
        if self._number is None:
            raise Garbled("data of no file")
        self.bytes += len(piece)
        self._at += len(piece)
        if self._handle is None or self._at > self._files[self._number].size:
            return  # it has failed, or is more than was announced: not one byte of that is kept
        view = memoryview(piece)
        while view:
            view = view[os.write(self._handle, view) :]
        self._digest.update(piece)

    def _end(self, how: int) -> None:
        if self._number is None:
            raise Garbled("the end of no file")
        entry, number = self._files[self._number], self._number
        if self._handle is None:
            return  # it has failed before
        right = how == WHOLE and self._at == entry.size and self._digest.hexdigest() == entry.sha256
        status = os.fstat(self._handle)
        self._drop_handle()
        if not right:
            self.failures[entry.path] = WHY.get(how, "what came is not what was announced")
            os.unlink(staged_name(entry), dir_fd=self._folder)
            return
        self._whole.append(number)
        if entry.size >= BIG:
            self._stamps[entry.path] = (status.st_ino, status.st_mtime_ns)

    def _failed(self, error: OSError) -> None:
        """A full disk ends the batch; anything else ends one file."""
        entry = self._files[self._number] if self._number is not None else None
        self._drop_handle()
        left = sum(file.size for file in self._files[self._number or 0 :]) - self._at
        full = as_full(error, str(self._root.path), left)
        if full is not None:
            raise full from error
        if entry is None:
            raise error
        self.failures[entry.path] = f"it cannot be written: {error.strerror}"

    def _remove(self, remove: Sequence[Entry]) -> int:
        """Delete files that are still what they were when that was decided."""
        gone = 0
        for entry in remove:
            try:
                handle = self._root.open_file(entry.path)
                try:
                    size, digest = hash_of(handle, entry.size + 1)
                finally:
                    os.close(handle)
                if (size, digest.hexdigest()) != (entry.size, entry.sha256):
                    raise InTheWay("it has changed")
                self._root.remove(entry.path)
                gone += 1
            except (InTheWay, FileNotFoundError) as error:
                self.failures[entry.path] = f"not deleted: {error}"
        return gone

    def _place(self, entry: Entry) -> None:
        aside = None if self._aside is None else f"{self._aside}/{entry.path}"
        try:
            self._root.replace(self._folder, staged_name(entry), entry.path, aside)
            if entry.path in self._stamps:
                status = self._root.look(entry.path)
                if status and self._stamps[entry.path] == (status.st_ino, status.st_mtime_ns):
                    self.read_back.append((entry, status))
        except InTheWay as error:
            self.failures[entry.path] = str(error)
        except OSError as error:
            if error.errno in FULL:
                raise
            self.failures[entry.path] = f"it cannot be put in place: {error.strerror}"

    def _missing(self) -> list[int]:
        """Bytes still to come of each file, given what an earlier batch left."""
        names = os.listdir(self._folder)  # noqa: PTH208 - a descriptor
        have = {name: os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_size for name in names}
        return [max(0, file.size - have.get(staged_name(file), 0)) for file in self._files]

    def _clean(self) -> None:
        """Nothing is under way any more."""
        for name in os.listdir(self._folder):  # noqa: PTH208 - a descriptor
            os.unlink(name, dir_fd=self._folder)

    def _drop_handle(self) -> None:
        if isinstance(self._digest, ReadBack):
            self._digest.stop()
            self._digest = hashlib.sha256()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
