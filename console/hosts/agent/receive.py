"""Receives a batch of files: staged and hashed on arrival, put in place only when the disk holds all of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from console.hosts.agent.disk import FULL_ERRNOS, check_free_space, disk_full_error, sync_disk
from console.hosts.agent.file_index import BackgroundHash, Entry, hash_prefix
from console.hosts.agent.frames import COMPLETE, DATA, END, FILE, FILE_HEAD, OUTCOMES, BadFrame
from console.hosts.agent.safe_dir import RESERVED, SafeDir, UnexpectedFile
from engine.contract.file_lock import take_lock

STAGING = (RESERVED, "staging")
BIG_FILE = 8 << 20  # bytes; from this size on a file is hashed in the background from what the disk holds
RESUME_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
CREATE_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Busy(Exception):
    """Another sync writes into the same folder."""


def staged_name(entry: Entry) -> str:
    """Name of a staged file. It depends on the content too: bytes of an older version are never continued."""
    text = f"{entry.path}\0{entry.size}\0{entry.sha256}\0{int(entry.executable)}"
    return hashlib.sha256(text.encode()).hexdigest()


def staged_files(root: SafeDir) -> dict[str, tuple[int, str]]:
    """What an interrupted sync left in staging: staged name -> (bytes received, their SHA-256)."""
    found: dict[str, tuple[int, str]] = {}
    try:
        folder = root.folder(STAGING)
    except (OSError, UnexpectedFile):
        return found
    for name in os.listdir(folder):  # noqa: PTH208 - a descriptor
        with suppress(OSError):
            handle = os.open(name, RESUME_FLAGS, dir_fd=folder)
            try:
                size, digest = hash_prefix(handle, os.fstat(handle).st_size)
            finally:
                os.close(handle)
            if size:
                found[name] = (size, digest.hexdigest())
    return found


class Receiver:
    """Receives one batch of files into ``root``.

    Args:
        files: what will arrive; frames name a file by its index in this list.
        aside: folder below the root where replaced files are kept; None keeps none.

    Attributes:
        failures: path -> why the file was not received.
        bytes: received so far.
        verified: big files in place, with their status; their hash was computed from what the disk holds.

    Raises:
        Busy: another sync writes into the folder.
        DiskFull: the files do not fit on the disk.
        UnexpectedFile, OSError: the folder cannot be written to.
    """

    def __init__(self, root: SafeDir, files: Sequence[Entry], aside: str | None = None) -> None:
        self.failures: dict[str, str] = {}
        self.bytes = 0
        self.verified: list[tuple[Entry, os.stat_result]] = []
        self._root = root
        self._files = files
        self._aside = aside
        self._complete: list[int] = []
        self._number: int | None = None  # index of the file that is arriving
        self._handle: int | None = None  # None while it arrives: it has failed, and its frames are skipped
        self._offset = 0
        self._digest: hashlib._Hash | BackgroundHash = hashlib.sha256()
        self._stamps: dict[str, tuple[int, int]] = {}
        with ExitStack() as undo:
            try:
                self._folder = os.dup(root.folder(STAGING, create=True))
                undo.callback(os.close, self._folder)
                lock = take_lock("lock", wait=False, dir_fd=root.folder(STAGING[:1]))
                if lock is None:
                    raise Busy(f"another sync writes into {root.path}")
                undo.callback(os.close, lock)
                check_free_space(root.handle, str(root.path), self._missing_bytes())
            except OSError as error:
                raise disk_full_error(error, str(root.path), sum(file.size for file in files)) or error from error
            self._open = undo.pop_all()

    def take(self, kind: int, payload: bytes | memoryview) -> None:
        """Process the next frame. An error with one file is noted in ``failures``; other files are not affected.

        Raises:
            DiskFull: the disk is full; what arrived stays staged for a later batch.
            BadFrame: frames are out of order.
        """
        try:
            if kind == DATA:
                self._write(payload)
            elif kind == FILE:
                self._begin(*FILE_HEAD.unpack(payload))
            elif kind == END:
                self._end(payload[0])
            else:
                raise BadFrame(f"a frame of kind {kind} among files")
        except UnexpectedFile as error:
            self._close_file()
            self.failures[self._files[self._number or 0].path] = str(error)
        except OSError as error:
            self._fail(error)
        finally:
            if kind == END:
                self._number = None

    def commit(self, remove: Sequence[Entry] = ()) -> int:
        """Put the complete files in place, and delete ``remove`` if nothing has failed; returns the number deleted.

        The content is on the disk before the first file is put in place, and the new names before this returns.

        Raises:
            DiskFull: no room for a folder; each file is the old one or the new one.
            OSError: the disk cannot be written.
        """
        if self._number is not None:
            raise BadFrame("a batch ends within a file")
        removed = 0
        if self._complete or remove:
            try:
                sync_disk(self._root.handle)  # before any rename: a power cut must not leave a name without its content
                # deletions first: a new file may need the name of a deleted folder
                removed = self._remove(remove) if not self.failures else 0
                for number in sorted(self._complete, key=lambda number: self._files[number].path):
                    self._put_in_place(self._files[number])
                sync_disk(self._root.handle)
            except OSError as error:
                raise disk_full_error(error, str(self._root.path), 0) or error from error
        if not self.failures:  # else what is staged is continued by the next batch
            for name in os.listdir(self._folder):  # noqa: PTH208 - a descriptor
                os.unlink(name, dir_fd=self._folder)
        return removed

    def close(self) -> None:
        """Release the folder; incomplete files stay staged for a later batch."""
        self._close_file()
        self._open.close()

    def _begin(self, number: int, offset: int) -> None:
        if self._number is not None or number >= len(self._files) or offset > self._files[number].size:
            raise BadFrame(f"file {number} at {offset}")
        self._number, self._offset = number, offset
        name, entry = staged_name(self._files[number]), self._files[number]
        if offset:
            self._handle = os.open(name, RESUME_FLAGS, dir_fd=self._folder)
            if os.fstat(self._handle).st_nlink != 1:  # writing would change a file outside under its other name
                raise UnexpectedFile(f"{name} has another name elsewhere")
            size, digest = hash_prefix(self._handle, offset)
            if size != offset:
                raise UnexpectedFile(f"of its first {offset} bytes only {size} are staged")
            os.ftruncate(self._handle, offset)
        else:
            # never opened for writing if it exists: it might be another name of a file outside
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder)
            self._handle = os.open(name, CREATE_FLAGS, 0o777 if entry.executable else 0o666, dir_fd=self._folder)
            digest = hashlib.sha256()
        self._digest = digest if entry.size < BIG_FILE else BackgroundHash(self._handle, digest, offset)

    def _write(self, piece: bytes | memoryview) -> None:
        if self._number is None:
            raise BadFrame("data of no file")
        self.bytes += len(piece)
        self._offset += len(piece)
        if self._handle is None or self._offset > self._files[self._number].size:
            return  # more than was announced is never written: _end reports it
        view = memoryview(piece)
        while view:
            view = view[os.write(self._handle, view) :]
        self._digest.update(piece)

    def _end(self, outcome: int) -> None:
        if self._number is None:
            raise BadFrame("the end of no file")
        if self._handle is None:
            return
        entry = self._files[self._number]
        correct = outcome == COMPLETE and self._offset == entry.size and self._digest.hexdigest() == entry.sha256
        status = os.fstat(self._handle)
        self._close_file()
        if not correct:
            self.failures[entry.path] = OUTCOMES.get(outcome, "its content is not what was announced")
            os.unlink(staged_name(entry), dir_fd=self._folder)
            return
        self._complete.append(self._number)
        if entry.size >= BIG_FILE:
            self._stamps[entry.path] = (status.st_ino, status.st_mtime_ns)

    def _fail(self, error: OSError) -> None:
        """A full disk ends the batch; any other error ends the file that is arriving."""
        entry = self._files[self._number] if self._number is not None else None
        self._close_file()
        missing = sum(file.size for file in self._files[self._number or 0 :]) - self._offset
        full = disk_full_error(error, str(self._root.path), missing)
        if full is not None:
            raise full from error
        if entry is None:
            raise error
        self.failures[entry.path] = f"it cannot be written: {error.strerror}"

    def _remove(self, remove: Sequence[Entry]) -> int:
        """Delete the files that have not changed since their deletion was decided."""
        removed = 0
        for entry in remove:
            try:
                handle = self._root.open_file(entry.path)
                try:
                    size, digest = hash_prefix(handle, entry.size + 1)
                finally:
                    os.close(handle)
                if (size, digest.hexdigest()) != (entry.size, entry.sha256):
                    raise UnexpectedFile("it has changed")
                self._root.remove(entry.path)
                removed += 1
            except (UnexpectedFile, FileNotFoundError) as error:
                self.failures[entry.path] = f"not deleted: {error}"
        return removed

    def _put_in_place(self, entry: Entry) -> None:
        aside = None if self._aside is None else f"{self._aside}/{entry.path}"
        try:
            self._root.replace(self._folder, staged_name(entry), entry.path, aside)
            if entry.path in self._stamps:
                status = self._root.stat(entry.path)
                # the same inode and mtime as when it was hashed: nobody has written to it since
                if status and self._stamps[entry.path] == (status.st_ino, status.st_mtime_ns):
                    self.verified.append((entry, status))
        except UnexpectedFile as error:
            self.failures[entry.path] = str(error)
        except OSError as error:
            if error.errno in FULL_ERRNOS:
                raise
            self.failures[entry.path] = f"it cannot be put in place: {error.strerror}"

    def _missing_bytes(self) -> list[int]:
        """Bytes still to arrive of each file, given what is staged."""
        names = os.listdir(self._folder)  # noqa: PTH208 - a descriptor
        have = {name: os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_size for name in names}
        return [max(0, file.size - have.get(staged_name(file), 0)) for file in self._files]

    def _close_file(self) -> None:
        if isinstance(self._digest, BackgroundHash):
            self._digest.stop()
            self._digest = hashlib.sha256()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
