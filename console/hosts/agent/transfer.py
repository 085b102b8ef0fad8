"""The host's end of a transfer: indexes, receives and sends files at the console's request, on one channel, in order.

Requests are MESSAGE frames with an ``op``; each gets one MESSAGE in reply, with the result or with ``error``. Two kinds of
MESSAGE keep bulk data from filling the link: ``grant`` of the console permits so many ``bytes`` more of a reply beyond the
``window`` of its request, ``received`` of the host says how many bytes of a batch have arrived.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from console.hosts.agent import process
from console.hosts.agent.disk import DiskFull, disk_full_error
from console.hosts.agent.file_index import Entry, HashCache, index_files
from console.hosts.agent.frames import MESSAGE, BadFrame, Frame, FrameDecoder, decode_message, encode_message
from console.hosts.agent.receive import Busy, Receiver, staged_files
from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile, unsafe_reason
from console.hosts.agent.send import OutgoingFile, send_files
from console.hosts.agent.workspace import Refused
from engine.contract.durable import write_durably
from engine.contract.run_folder import size_and_sha256

F_SETPIPE_SZ = 1031  # of Linux; the fcntl module has it from Python 3.10 on
PIPE = 1 << 20  # bytes that the SSH server may be ahead: each switch between it and this process costs
IDLE_TIMEOUT_S = 30.0  # a sender that is silent this long is gone: its lock on the folder must not outlive it
WORKSPACE_FOLDERS = ("agent", "arrays", "env", "jobs", "runs", "slots")  # no push writes to them
ACKNOWLEDGE_BYTES = 1 << 20  # at the least every so many bytes, and after so many seconds: each acknowledgement costs
ACKNOWLEDGE_S = 0.01
HEARTBEAT_S = 1.0
HUNG_S = 600.0  # without any work by this process: longer than a disk takes to flush what was written
KILL_WAIT_S = 5.0
RECEIPTS = 20  # kept of each folder
CACHE = "hashes.json"


class Disconnected(Exception):
    """The other end of the channel is gone."""


def keep_receipt(folder: Path, content: bytes) -> Path:
    """Write a receipt of a sync, JSON, to ``folder/receipts`` and delete the oldest above 20; returns its path.

    Raises:
        DiskFull: no room for it.
        OSError: it cannot be written.
    """
    path = folder / "receipts" / f"{time.time_ns()}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
    except OSError as error:
        raise disk_full_error(error, str(folder), len(content)) or error from error
    for old in sorted(path.parent.glob("*.json"))[:-RECEIPTS]:
        old.unlink(missing_ok=True)  # another console may delete it at the same time
    return path


class Transfer:
    """One console's transfers with the workspace ``root``.

    Args:
        source, sink: descriptors to read requests from and to reply on.
    """

    def __init__(self, root: Path, source: int, sink: int) -> None:
        self._root = root
        self._source = source
        self._sink = sink
        for pipe in (source, sink):
            with suppress(OSError):
                fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE)
        self._decoder = FrameDecoder()
        self._frames = self._read()
        self._idle_timeout: float | None = None
        self._allowance: int | None = (
            None  # bytes of the reply that may be sent before the next grant; None is no limit
        )
        self._batch_start = self._acknowledged = 0
        self._acknowledged_at = 0.0

    def serve(self) -> None:
        """Handle requests until the console closes the channel."""
        with suppress(Disconnected):
            self._write(encode_message(_hello()))
            while True:
                frame = next(self._frames)
                if frame.kind != MESSAGE:
                    raise Disconnected("frames of files without a request")
                request = decode_message(frame.payload)
                if request.get("op") == "grant":
                    continue  # the reply that it is for needed no more
                try:
                    self._allowance = request.get("window")
                    reply = getattr(self, f"_do_{request.get('op')}")(request)
                except DiskFull as full:
                    reply = {"error": "full", "disk": full.disk, "missing": full.missing}
                except Busy as busy:
                    reply = {"error": "busy", "text": str(busy)}
                except (UnexpectedFile, Refused, BadFrame) as error:
                    reply = {"error": "refused", "text": str(error)}
                except OSError as error:
                    reply = {"error": "failed", "text": str(error)}
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    reply = {"error": "refused", "text": f"a malformed request: {error!r}"}
                self._write(encode_message(reply))
                self._allowance = None
                if "error" in reply and request.get("op") == "receive":
                    return  # frames of the failed batch are still arriving: only a new channel starts clean

    def _do_index(self, request: dict[str, Any]) -> dict[str, Any]:
        """Index of the files below ``root``, and what an interrupted sync left staged."""
        try:
            root = self._open(str(request["root"]))
        except FileNotFoundError:
            return {"files": [], "refused": [], "staged": {}, "exists": False}
        with root:
            cache = HashCache(None if request.get("ignore_cache") else self._records(str(request["root"])) / CACHE)
            file_index = index_files(root, list(request.get("excludes", ())), cache)
            cache.save()
            return {**file_index._asdict(), "staged": staged_files(root), "exists": True}

    def _do_receive(self, request: dict[str, Any]) -> dict[str, Any]:
        """Receive ``files``, whose frames follow, ended by a MESSAGE; then delete ``remove``."""
        files = [Entry(*entry) for entry in request["files"]]
        for entry in files:
            _check_path(entry.path)
        with self._writable(str(request["root"])) as root:
            receiver = Receiver(root, files)
            self._idle_timeout = float(request.get("idle_timeout", IDLE_TIMEOUT_S))
            self._batch_start, self._acknowledged = self._decoder.consumed, 0
            try:
                while (frame := next(self._frames)).kind != MESSAGE:
                    receiver.take(frame.kind, frame.payload)
                removed = receiver.commit([Entry(*entry) for entry in request.get("remove", ())])
            finally:
                self._idle_timeout = None
                receiver.close()
            if receiver.verified:
                HashCache(self._records(str(request["root"])) / CACHE).add(receiver.verified)
            return {"failures": receiver.failures, "bytes": receiver.bytes, "removed": removed}

    def _do_send(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send ``files``, each the fields of ``OutgoingFile``, below ``root``: their frames, then the reply."""
        with self._open(str(request["root"])) as root:
            wanted = [OutgoingFile(*file) for file in request["files"]]
            for file in wanted:
                _check_path(file.path)
            for piece in send_files(root, wanted):
                self._write(piece)
        return {}

    def _do_keep_receipt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep ``receipt`` of a sync of ``root``."""
        keep_receipt(self._records(str(request["root"])), json.dumps(request["receipt"]).encode())
        return {}

    def _do_kill(self, request: dict[str, Any]) -> dict[str, Any]:
        """Kill ``process``, a transfer that the console has given up: while it lives, its lock on a folder does."""
        given_up = request["process"]
        with suppress(OSError):
            process.send_signal(given_up, signal.SIGKILL)
        deadline = time.monotonic() + KILL_WAIT_S
        while process.alive(given_up) and time.monotonic() < deadline:
            time.sleep(0.01)
        return {}

    def _open(self, root: str) -> SafeDir:
        """``root`` for reading: an absolute path on this host, or one below the workspace."""
        if Path(root).is_absolute():
            return SafeDir(Path(root))
        with SafeDir(self._root) as workspace:
            return workspace.subdir(_check_path(root))

    @contextmanager
    def _writable(self, root: str) -> Iterator[SafeDir]:
        """``root`` for writing: below the workspace, and not one of the folders that the agent itself uses."""
        if _check_path(root).split("/")[0].casefold() in WORKSPACE_FOLDERS or root.startswith("."):
            raise Refused(f"{root} is not for pushes")
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with SafeDir(self._root) as workspace:
            try:
                inner = workspace.subdir(root, create=True)
            except OSError as error:
                raise disk_full_error(error, str(self._root), 4096) or error from error
        with inner:
            yield inner

    def _records(self, root: str) -> Path:
        """Folder of the hash cache and receipts of ``root``: in the workspace, so that the synced folder stays unchanged."""
        return self._root / ".sync" / hashlib.sha256(root.encode("utf-8", "replace")).hexdigest()[:16]

    def _read(self) -> Iterator[Frame]:
        buffer = memoryview(bytearray(PIPE))
        while True:
            if self._idle_timeout is not None:
                self._await_batch(self._idle_timeout)
            size = os.readv(self._source, [buffer])
            if not size:
                raise Disconnected("the channel was closed")
            yield from self._decoder.feed(buffer[:size])

    def _await_batch(self, idle_timeout: float) -> None:
        """Wait for more of a batch, and acknowledge what has arrived of it."""
        is_quiet = not self._has_input(ACKNOWLEDGE_S)
        received, now = self._decoder.consumed - self._batch_start, time.monotonic()
        is_due = is_quiet or now - self._acknowledged_at >= ACKNOWLEDGE_S
        if received - self._acknowledged >= (1 if is_due else ACKNOWLEDGE_BYTES):
            self._write(encode_message({"received": received}))
            self._acknowledged, self._acknowledged_at = received, now
        if is_quiet and not self._has_input(idle_timeout):
            raise Disconnected(f"nothing arrived for {idle_timeout:.0f} s")

    def _has_input(self, timeout: float) -> bool:
        return bool(select.select([self._source], [], [], timeout)[0])

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        try:
            while view:
                if self._allowance is None:
                    view = view[os.write(self._sink, view) :]
                    continue
                while not self._allowance or self._has_input(0.0):
                    self._take_grant()
                size = os.write(self._sink, view[: self._allowance])
                self._allowance -= size
                view = view[size:]
        except BrokenPipeError:
            raise Disconnected("the channel was closed") from None

    def _take_grant(self) -> None:
        """Wait until the console permits more of the reply."""
        frame = next(self._frames)
        message = decode_message(frame.payload) if frame.kind == MESSAGE else {}
        if message.get("op") != "grant" or self._allowance is None:
            raise Disconnected("something else than a grant before the end of a reply")
        self._allowance += int(message["bytes"])


def _check_path(path: str) -> str:
    if reason := unsafe_reason(path):
        raise Refused(f"{path!r}: {reason}")
    return path


def _hello() -> dict[str, Any]:
    """Hash of the file that this process runs from, and its identity, by which another one can kill it."""
    own: dict[str, Any] | None = None
    with suppress(OSError):
        own = process.identity(os.getpid())
    return {"sha256": size_and_sha256(Path(sys.argv[0]))[1], "process": own}


def _send_heartbeats() -> None:
    """Write a byte to stderr each second, so that the console can tell long work from a process that stands still.

    They end when the other threads have used no CPU for long, as on a disk that never answers.
    """
    work, since = 0.0, time.monotonic()
    with suppress(OSError):
        while True:
            total = time.process_time() - time.thread_time()
            if total - work > 0.001:
                work, since = total, time.monotonic()
            if time.monotonic() - since < HUNG_S:
                os.write(2, b"\0")
            time.sleep(HEARTBEAT_S)


def main(root: str) -> None:
    """Serve on stdin and stdout."""
    sink = os.dup(1)
    os.dup2(2, 1)  # a stray print must not end up among the frames
    threading.Thread(target=_send_heartbeats, daemon=True).start()
    Transfer(Path(root), 0, sink).serve()
