"""The host's end of a transfer: counts, takes in and sends out files as the console asks, on one channel, in order.

Requests are MESSAGE frames with an ``op``; each has one answer, a MESSAGE with what was asked for or with ``error``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from console.hosts.agent.disk import DiskFull, as_full
from console.hosts.agent.file_index import Entry, HashCache, count
from console.hosts.agent.frames import MESSAGE, Frame, Frames, Garbled, decoded, message
from console.hosts.agent.receive import Receiver
from console.hosts.agent.safe_dir import InTheWay, SafeDir
from console.hosts.agent.safe_names import why_unsafe
from console.hosts.agent.send import Outgoing, send_files
from console.hosts.agent.staging import Busy, staged
from console.hosts.agent.workspace import Refused, write_json

F_SETPIPE_SZ = 1031  # as Linux has it; named by Python from 3.10 on
PIPE = 1 << 20  # bytes that the SSH server may be ahead: each change between it and this process costs
IDLE_S = 30.0  # a stream that stands still this long has lost its sender: its lock must not outlive it
OWN = ("agent", "arrays", "env", "jobs", "runs", "slots")  # folders of the workspace that no push writes to
RECEIPTS = 20  # kept of each folder


class Gone(Exception):
    """Nobody is at the other end any more."""


class Transfer:
    """One console's transfers with the workspace ``root``.

    Args:
        source, sink: descriptors to read requests from and to answer on.
    """

    def __init__(self, root: Path, source: int, sink: int) -> None:
        self._root = root
        self._source = source
        self._sink = sink
        for pipe in (source, sink):
            with suppress(OSError):
                fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE)
        self._frames = self._read()
        self._patience: float | None = None

    def serve(self) -> None:
        """Answer until the console hangs up."""
        with suppress(Gone):
            self._say({"sha256": hashlib.sha256(Path(sys.argv[0]).read_bytes()).hexdigest()})
            while True:
                request = self._next_message()
                try:
                    answer = getattr(self, f"_do_{request.get('op')}")(request)
                except DiskFull as full:
                    answer = {"error": "full", "disk": full.disk, "missing": full.missing}
                except Busy as busy:
                    answer = {"error": "busy", "text": str(busy)}
                except (InTheWay, Refused, Garbled) as error:
                    answer = {"error": "refused", "text": str(error)}
                except OSError as error:
                    answer = {"error": "failed", "text": str(error)}
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    answer = {"error": "refused", "text": f"not understood: {error!r}"}
                self._say(answer)
                if "error" in answer and request.get("op") == "receive":
                    return  # what is under way on the channel belongs to nothing any more

    def _do_count(self, request: dict[str, Any]) -> dict[str, Any]:
        """The files below ``root``, and what a broken sync left there on its way."""
        try:
            root = self._open(str(request["root"]))
        except FileNotFoundError:
            return {"files": [], "refused": [], "staged": {}, "exists": False}
        with root:
            cache = HashCache(None if request.get("afresh") else self._hashes(str(request["root"])))
            file_index = count(root, list(request.get("excludes", ())), cache)
            cache.save()
            return {"files": file_index.files, "refused": file_index.refused, "staged": staged(root), "exists": True}

    def _do_receive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take in ``files``, whose frames follow, ended by a message; then delete ``remove``."""
        files = [Entry(*entry) for entry in request["files"]]
        for entry in files:
            if why := why_unsafe(entry.path):
                raise Refused(f"{entry.path!r}: {why}")
        with self._writable(str(request["root"])) as root:
            receiver = Receiver(root, files)
            self._patience = float(request.get("patience", IDLE_S))
            try:
                while (frame := next(self._frames)).kind != MESSAGE:
                    receiver.take(frame.kind, frame.payload)
                gone = receiver.commit([Entry(*entry) for entry in request.get("remove", ())])
            finally:
                self._patience = None
                receiver.close()
            if receiver.read_back:
                HashCache(self._hashes(str(request["root"]))).add(receiver.read_back)
            return {"failures": receiver.failures, "bytes": receiver.bytes, "removed": gone}

    def _do_send(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send ``files``, each the fields of ``Outgoing``, below ``root``: their frames, then the answer."""
        with self._open(str(request["root"])) as root:
            wanted = [Outgoing(*file) for file in request["files"]]
            for file in wanted:
                if why := why_unsafe(file.path):
                    raise Refused(f"{file.path!r}: {why}")
            for piece in send_files(root, wanted):
                self._write(piece)
        return {}

    def _do_keep(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep ``receipt`` of a sync of ``root``; the oldest of many give way."""
        folder = self._notes(str(request["root"])) / "receipts"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / f"{time.time_ns()}.json", request["receipt"])
        except OSError as error:
            raise as_full(error, str(folder), 4096) or error from error
        for old in sorted(folder.glob("*.json"))[:-RECEIPTS]:
            old.unlink()
        return {}

    def _open(self, root: str) -> SafeDir:
        """``root`` for reading: a path of this host, or one below the workspace."""
        if Path(root).is_absolute():
            return SafeDir(Path(root))
        with SafeDir(self._root) as workspace:
            return workspace.below(self._checked(root))

    @contextmanager
    def _writable(self, root: str) -> Iterator[SafeDir]:
        """``root`` for writing: below the workspace, and none of its own folders."""
        if self._checked(root).split("/")[0].casefold() in OWN or root.startswith("."):
            raise Refused(f"{root} is not for pushes")
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with SafeDir(self._root) as workspace:
            try:
                inner = workspace.below(root, create=True)
            except OSError as error:
                raise as_full(error, str(self._root), 4096) or error from error
        with inner:
            yield inner

    def _checked(self, root: str) -> str:
        if why := why_unsafe(root):
            raise Refused(f"{root!r}: {why}")
        return root

    def _hashes(self, root: str) -> Path:
        return self._notes(root) / "hashes.json"

    def _notes(self, root: str) -> Path:
        """Where hashes and receipts of ``root`` are kept: beside it all, never in it."""
        return self._root / ".sync" / hashlib.sha256(root.encode("utf-8", "replace")).hexdigest()[:16]

    def _next_message(self) -> dict[str, Any]:
        frame = next(self._frames)
        if frame.kind != MESSAGE:
            raise Gone("a stream that nobody announced")
        return decoded(bytes(frame.payload))

    def _read(self) -> Iterator[Frame]:
        frames = Frames()
        buffer = memoryview(bytearray(PIPE))
        while True:
            if self._patience is not None and not select.select([self._source], [], [], self._patience)[0]:
                raise Gone(f"nothing came for {self._patience:.0f} s")
            size = os.readv(self._source, [buffer])
            if not size:
                raise Gone("the channel was closed")
            yield from frames.feed(buffer[:size])

    def _say(self, value: dict[str, Any]) -> None:
        self._write(message(value))

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._sink, view) :]
        except BrokenPipeError:
            raise Gone("the channel was closed") from None


def main(root: str) -> None:
    """Serve on stdin and stdout; a stray print must not end up among the frames."""
    sink = os.dup(1)
    os.dup2(2, 1)
    Transfer(Path(root), 0, sink).serve()
