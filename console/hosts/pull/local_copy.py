"""Local copies of what a run writes while it runs: appended by offset, read line by line, written by one console at a time.

``<runs folder>/.live/<run>/<launch key>/`` holds ``events.jsonl`` and ``log.txt`` up to the byte that came last, and the
last known ``state.json``. They are not flushed to the disk: what counts as synced is the sealed capsule, which takes these
bytes over.
"""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from console.hosts.agent.disk import FULL_ERRNOS
from console.hosts.agent.workspace import KEY
from console.runs.event_index import MAX_EVENT_LINE, decode_lines, reduce_decoded
from console.runs.run_view import RunView
from console.sanitize import sanitize_line
from engine.contract.durable import write_durably
from engine.contract.file_lock import is_locked, take_lock
from engine.contract.run_folder import EVENTS, LOG, STATE, open_regular
from engine.contract.settings import RunId
from engine.contract.state import RunState
from engine.contract.state import decode as decode_state

GROWING = {"events": EVENTS, "log": LOG}
READ_SIZE = 2 << 20
MAX_STATE = 1 << 20  # bytes of the file
PRIVATE_PREFIX = "qllm-console-"
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

T = TypeVar("T")


class RunsFolder:
    """Local folder of one experiment's runs, and whether this console is the one that writes it.

    Args:
        path: the folder; made when it is first written.
        may_write: compete for the writer's lock. Without it, copies go to a private temporary folder.

    Attributes:
        other_writer: who writes the folder in place of this console, to be shown; "" if nobody else does.
        write_error: why no console can write it; "" for a full disk too, which may pass.
    """

    def __init__(self, path: Path, *, may_write: bool = True) -> None:
        self.path = path
        self.other_writer = self.write_error = ""
        self._may_write = may_write
        self._lock: int | None = None
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._private_lock: int | None = None

    @property
    def writable(self) -> bool:
        """Whether this console holds the writer's lock."""
        return self._lock is not None

    @property
    def has_private_copies(self) -> bool:
        """Whether this console has copies in a temporary folder, which it leaves once it is the writer."""
        return self._private is not None

    def try_lock(self) -> bool:
        """Try to become the writer; True if this call did it. The kernel frees the lock when its holder dies. Blocks."""
        if not self._may_write or self.writable:
            return False
        path = self.path / ".writer.lock"
        self.write_error = ""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(path, wait=False)
            if self._lock is None:
                holder = sanitize_line(path.read_text(encoding="utf-8", errors="replace")[:100])
                self.other_writer = f"another console ({holder or 'unknown user'})"
                return False
        except OSError as error:
            reason = f"{self.path}: {error.strerror}"
            self.other_writer = f"nobody ({reason})"
            self.write_error = "" if error.errno in FULL_ERRNOS else reason
            return False
        self.other_writer = ""
        with suppress(OSError):  # a full disk: the note is missing, the lock holds
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{getpass.getuser()}, pid {os.getpid()}".encode(), 0)
        return True

    def close(self) -> None:
        """Free the lock and delete private copies. Blocks."""
        self.delete_private_copies()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def delete_private_copies(self) -> None:
        """Delete the temporary folder, if there is one. Blocks."""
        if self._private is not None:
            self._private.cleanup()
            self._private = None
        if self._private_lock is not None:
            os.close(self._private_lock)
            self._private_lock = None

    def live(self, run: RunId, key: str = "") -> Path:
        """Folder with the writer's live copies of a run, or of one of its launches."""
        return self.path / ".live" / str(run) / key

    def newest_launch(self, run: RunId) -> str:
        """Key of the launch whose live copy was made last; "" if there is none. Blocks."""
        try:
            launches = [folder for folder in self.live(run).iterdir() if KEY.match(folder.name)]
            return max(launches, key=lambda folder: folder.stat().st_mtime_ns).name if launches else ""
        except OSError:
            return ""

    def live_size(self, run: RunId, key: str) -> int | None:
        """Bytes of events and log that the writer has of a launch; None if it has no copy. Blocks."""
        folder = self.live(run, key)
        try:
            if not folder.is_dir():
                return None
            return sum(path.stat().st_size for name in GROWING.values() if (path := folder / name).is_file())
        except OSError:  # such as one that its writer removes in this moment
            return None

    def copy_folder(self, run: RunId, key: str, names: Iterable[str]) -> Path:
        """Folder of the copy that this console writes: the live one, or a private one that starts as its copy. Blocks."""
        live = self.live(run, key)
        if self.writable:
            return live
        folder = self._private_folder() / str(run) / key
        if not folder.exists():
            folder.mkdir(parents=True)
            for name in (STATE, *(GROWING[name] for name in names)):
                with suppress(OSError):  # what is missing, or finds no room, comes from the host
                    shutil.copyfile(live / name, folder / name, follow_symlinks=False)
        return folder

    def _private_folder(self) -> Path:
        """Temporary folder of this console; those of readers that were killed are deleted when it is made."""
        if self._private is None:
            for lock in Path(tempfile.gettempdir()).glob(f"{PRIVATE_PREFIX}*/.lock"):
                with suppress(OSError):  # another user's
                    if not is_locked(lock):
                        shutil.rmtree(lock.parent)
            self._private = tempfile.TemporaryDirectory(prefix=PRIVATE_PREFIX)
            self._private_lock = take_lock(Path(self._private.name) / ".lock", wait=True)
        return Path(self._private.name)

    def remove_copies(self, run: RunId, key: str) -> None:
        """Delete the live copy of launch ``key``, whose capsule is synced, and set those of other launches aside. Blocks.

        They go to ``.previous/<run>-<key>``, as their capsules never came; so does a copy with a file that the capsule
        lacks because it could not be read on the host any more.
        """
        with suppress(OSError):  # what cannot be moved stays until the next capsule is synced
            # the copy of the synced launch goes last: a console that is killed leaves no older one as the newest
            for folder in sorted(self.live(run).iterdir(), key=lambda folder: folder.name == key):
                aside = self.path / ".previous" / f"{run}-{folder.name}"
                synced = folder.name == key and not self._has_more(folder, run)
                if synced or aside.exists():
                    shutil.rmtree(folder)
                else:
                    aside.parent.mkdir(exist_ok=True)
                    folder.rename(aside)
            self.live(run).rmdir()
            self.live(run).parent.rmdir()  # fails as long as another run has a copy

    def _has_more(self, copy: Path, run: RunId) -> bool:
        """Whether a live copy has a file that the run's capsule lacks."""
        capsule = self.path / str(run)
        return any((copy / name).is_file() and not (capsule / name).exists() for name in GROWING.values())


class GrowingFile:
    """Local copy of one append-only file of the host, and the running SHA-256 of its content. Opening it blocks.

    Attributes:
        size: bytes in the local file.
        confirmed: on the present connection the host has confirmed that these are the first bytes of its file.
        remote_size: bytes on the host at the last poll; None before one.
        readable: whether the host could read its file at the last poll.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.confirmed = False
        self.remote_size: int | None = None
        self.readable = True
        self._digest = hashlib.sha256()
        with suppress(FileNotFoundError), open_regular(path) as file:
            while chunk := file.read(READ_SIZE):
                self._digest.update(chunk)
                self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """SHA-256 of all local bytes, in hex."""
        return self._digest.hexdigest()

    @property
    def complete(self) -> bool:
        """Whether all that the host had at the last poll is local, as far as it could be read there."""
        return not self.readable or (self.confirmed and self.remote_size == self.size)

    def append(self, content: bytes) -> None:
        """Add ``content`` at the end. Blocks.

        Raises:
            OSError: it cannot be written; the file is then as it was.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, APPEND, 0o666)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
        except OSError:
            os.ftruncate(handle, self.size)
            raise
        finally:
            os.close(handle)
        self._digest.update(content)
        self.size += len(content)

    def start_over(self) -> None:
        """Set the content aside under another name, and begin with an empty file. Blocks."""
        with suppress(FileNotFoundError):
            self.path.replace(self.path.with_name(f"{self.path.name}.replaced"))
        self._digest, self.size = hashlib.sha256(), 0


def write_state(folder: Path, state: RunState) -> None:
    """Replace the state in a local copy, whose folder is made if missing. Blocks.

    Raises:
        OSError: it cannot be written; the old state is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / STATE, msgspec.json.encode(state), wait=False)


def read_state(folder: Path) -> RunState | None:
    """The state in a local run folder; None if there is none that can be read. Blocks."""
    try:
        with open_regular(folder / STATE) as file:
            return decode_state(file.read(MAX_STATE))
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


class RunReader:
    """Reads the events of one launch from its local folder, each time from where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offset = 0
        self._skipping = False  # within an event line that is too long to be one

    def start_over(self) -> None:
        """Read the file from its beginning next time: it is another file now."""
        self._offset, self._skipping = 0, False

    def read(self, view: RunView) -> tuple[RunView, bool]:
        """``view`` with the next complete event lines, at most 2 MiB of them, and whether there are more.

        Blocks.

        Raises:
            OSError: a file cannot be read.
        """
        lines, more = self._read_lines()
        return reduce_decoded(view, decode_lines(lines)), more

    def _read_lines(self) -> tuple[list[bytes], bool]:
        """The next whole lines, "" for one that is too long to be an event, and whether there are more.

        The next read begins with the line that is not whole yet.
        """
        content = b""
        with suppress(FileNotFoundError), open_regular(self.folder / EVENTS) as file:
            file.seek(self._offset)
            content = file.read(READ_SIZE)
        end = content.rfind(b"\n") + 1
        more = len(content) == READ_SIZE
        if not end:
            begins = len(content) > MAX_EVENT_LINE and not self._skipping
            self._skipping |= begins
            self._offset += len(content) if self._skipping else 0
            return [b""] if begins else [], more
        self._offset += end
        lines = content[: end - 1].split(b"\n")
        if self._skipping:
            self._skipping = False
            del lines[0]
        return lines, more


async def run_to_end(work: Awaitable[T]) -> T:
    """Await ``work``; a caller that is cancelled, however often, waits for its end first.

    For work that moves or writes files: nobody may continue with them before it is over.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()
