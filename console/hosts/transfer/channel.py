"""Transfer channel: the console's end of one file transfer process on a host.

Requests are answered in order. Files travel as frames in between; a reply comes after the frames of its files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncssh
import msgspec
from msgspec import Struct

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import Entry
from console.hosts.agent.frames import MESSAGE, BadFrame, FrameDecoder, decode_message, encode_message
from console.hosts.remote.agent_package import AgentProcess, start_agent
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import NoRoom, RetryLater, Stalled, SyncFailed
from console.hosts.transfer.pace import MAX_WINDOW, Pace
from console.sanitize import sanitize_line
from engine.contract.validation_words import error_in_words

STALL_S = 30.0  # without a byte from a process that sends a heartbeat each second
MAX_STALLS = 3  # processes in a row that stand still: then somebody must look at the host
STALL_STEPS = 10  # waits that make up STALL_S: if this process itself stood still, only one of them is over too early
FINISH_TIMEOUT_S = 2.0
READ_AHEAD = 1 << 20  # bytes read from the disk while the previous ones are sent
MAX_PENDING = 8 << 20  # bytes received and not yet handled: bounds the memory if the disk is slower than the link


class HostFolder(Struct, frozen=True):
    """Files of a folder on the host; ``staged`` is what an interrupted sync left: staged name -> (bytes, SHA-256)."""

    files: list[Entry]
    refused: list[tuple[str, str]]
    staged: dict[str, tuple[int, str]]
    exists: bool


FrameSink = Callable[[int, bytes | memoryview], None]
"""Called with the kind and the payload of each frame of a file."""


class TransferChannel:
    """Requests to one transfer process on the host.

    Every method raises LinkDown if the process or the link ends, and Stalled if the process stands still.

    Attributes:
        identity: of the process; None if its host cannot tell.
    """

    def __init__(self, process: AgentProcess) -> None:
        self._process = process
        self._frames = FrameDecoder()
        self._replies: deque[dict[str, Any]] = deque()
        self._read: asyncio.Task[bytes] | None = None
        self._pending: list[bytes] = []
        self.identity: dict[str, Any] | None = None
        self._pace = Pace()
        self._granted = self._received = 0  # bytes of the present reply
        self._sent = self._acknowledged = 0  # bytes of the present batch
        self._news = asyncio.Event()  # an acknowledgement or a reply

    async def index(self, root: str, excludes: Sequence[str], ignore_cache: bool = False) -> HostFolder:
        """Files of the host's folder ``root`` with their hashes.

        Raises:
            SyncFailed: the folder cannot be read.
        """
        self.send_request({"op": "index", "root": root, "excludes": list(excludes), "ignore_cache": ignore_cache})
        reply = await self.read_reply()
        try:
            return msgspec.convert(reply, HostFolder)
        except msgspec.ValidationError as error:
            raise SyncFailed(
                f"the host's list of files cannot be read: {sanitize_line(error_in_words(error))}"
            ) from error

    def send_request(self, request: dict[str, Any]) -> None:
        """Send a request, whose reply ``read_reply`` reads before the next one is sent."""
        self._received, self._granted = 0, self._pace.window
        self._pace.start(self._granted)
        self._send(request | {"window": self._granted})

    async def begin(self) -> None:
        """Take in the first message of the process.

        Raises:
            LinkDown: it is not the file that was shipped.
        """
        hello = await self.read_reply()
        self._process.check_hello(hello)
        self.identity = hello.get("process")

    async def kill(self, identity: dict[str, Any]) -> None:
        """Kill another transfer process on the host, which was given up: its lock on a folder would outlive it."""
        self.send_request({"op": "kill", "process": identity})
        await self.read_reply()

    def start_batch(self, request: dict[str, Any]) -> None:
        """Send a request to receive files; ``stream_files`` sends them and reads the reply."""
        self._granted = 0  # no grants: they would get in between the parts of a frame, and the reply is short
        self._sent = self._acknowledged = 0
        self._pace.start(self._pace.window)
        self._send(request)

    def _send(self, message: dict[str, Any]) -> None:
        with _as_link_down():
            self._process.stdin.write(encode_message(message))

    async def read_reply(
        self, sink: FrameSink | None = None, on_progress: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """The next reply; frames of files that precede it go to ``sink``, in a thread, while more are received.

        Raises:
            NoRoom, SyncFailed: the host refuses the request, or fails.
            DiskFull, OSError: raised by ``sink``.
        """
        work: asyncio.Task[None] | None = None
        try:
            while not self._replies:
                if self._pending and work is None:
                    chunks, self._pending = self._pending, []
                    if sink is None:
                        self._handle(chunks, None)
                        continue
                    # the disk must not stop the event loop; one thread at a time keeps the frames in order
                    work = asyncio.create_task(asyncio.to_thread(self._handle, chunks, sink))
                await self._receive(work)
                if work is not None and work.done():
                    work.result()
                    work = None
                    if on_progress is not None:
                        on_progress()
        finally:
            if work is not None:
                # a thread cannot be cancelled: it must be done with the sink before the caller closes that
                await asyncio.gather(work, return_exceptions=True)
        return _checked(self._replies.popleft())

    async def _receive(self, work: asyncio.Task[None] | None) -> None:
        """Wait until more was received or ``work`` is done; nothing more is received while too much is pending."""
        if work is not None and sum(map(len, self._pending)) >= MAX_PENDING:
            await asyncio.wait({work})
            return
        # the read outlives a call that returns for ``work``: cancelling it could lose bytes that have arrived
        if self._read is None:
            self._read = asyncio.create_task(self._process.stdout.read(1 << 20))
        waits, quiet_steps, heartbeats = {self._read, *([work] if work else [])}, 0, self._process.heartbeats
        while not (await asyncio.wait(waits, timeout=STALL_S / STALL_STEPS, return_when=asyncio.FIRST_COMPLETED))[0]:
            quiet_steps = quiet_steps + 1 if self._process.heartbeats == heartbeats else 0
            heartbeats = self._process.heartbeats
            if quiet_steps >= STALL_STEPS:
                raise Stalled(f"the transfer process on the host stood still for {STALL_S:.0f} s")
        if self._read.done():
            read, self._read = self._read, None
            with _as_link_down():
                chunk = read.result()
            if not chunk:
                raise LinkDown(self._process.last_error() or "the transfer process on the host has ended")
            self._pending.append(chunk)
            self._grant(len(chunk))

    def _grant(self, length: int) -> None:
        """``length`` bytes more have arrived; permit the host to send on."""
        if not self._granted:
            return
        self._received += length
        self._pace.update(self._granted, self._received)
        grant = self._received + self._pace.window - self._granted
        if grant >= self._pace.window / 4:
            self._granted += grant
            with contextlib.suppress(LinkDown):  # the next read says more about why
                self._send({"op": "grant", "bytes": grant})

    async def stream_files(self, frames: Iterator[bytes], on_sent: Callable[[int], None]) -> dict[str, Any]:
        """Send ``frames`` of files, read in a thread while others are sent, and return the reply to all of them.

        Args:
            on_sent: called with the length of each frame.

        Raises:
            NoRoom, SyncFailed: the host could not write them.
        """
        # the host may refuse before the end, such as with a full disk: then the rest is not sent
        reply = asyncio.create_task(self.read_reply())
        reply.add_done_callback(lambda _: self._news.set())
        ahead = asyncio.create_task(asyncio.to_thread(_next_frames, frames))
        try:
            with _as_link_down():
                while (ready := await ahead) and not reply.done():
                    ahead = asyncio.create_task(asyncio.to_thread(_next_frames, frames))
                    for frame in ready:
                        view = memoryview(frame)
                        while view and not reply.done():
                            # no drain: what waits in this process is part of the window, too
                            piece = view[: await self._room(reply)]
                            self._process.stdin.write(bytes(piece))
                            self._sent, view = self._sent + len(piece), view[len(piece) :]
                            on_sent(len(piece))
                if not reply.done():
                    self._process.stdin.write(encode_message({"op": "end"}))
            return await reply
        except LinkDown:
            return await reply  # the host's own reason, if it gave one, says more than a closed channel
        finally:
            reply.cancel()
            await asyncio.gather(reply, ahead, return_exceptions=True)

    async def _room(self, reply: asyncio.Task[dict[str, Any]]) -> int:
        """Wait until the window has room; returns for how many bytes, 0 if the reply came instead."""
        while (room := self._acknowledged + self._pace.window - self._sent) <= 0 and not reply.done():
            self._news.clear()
            await self._news.wait()
        return max(0, room)

    def close(self) -> None:
        if self._read is not None:
            self._read.cancel()

    def _handle(self, chunks: list[bytes], sink: FrameSink | None) -> None:
        """Parse received bytes: messages are replies, all other frames go to ``sink``."""
        try:
            for chunk in chunks:
                for frame in self._frames.feed(chunk):
                    if frame.kind == MESSAGE:
                        self._take_message(decode_message(frame.payload))
                    elif sink is not None:
                        sink(frame.kind, frame.payload)
                    else:
                        raise BadFrame("frames of files that were not requested")
        except BadFrame as error:
            raise LinkDown(f"the host's reply cannot be read: {sanitize_line(error_in_words(error))}") from error

    def _take_message(self, message: dict[str, Any]) -> None:
        received = message.get("received")
        if isinstance(received, int):
            self._acknowledged = received
            self._pace.update(self._sent, received)
            self._news.set()
        else:
            self._replies.append(message)


@asynccontextmanager
async def open_transfer(connection: HostConnection) -> AsyncIterator[TransferChannel]:
    """Start a transfer process on the host for the length of the block.

    Raises:
        LinkDown: the link failed, or the host runs another agent than the one shipped.
        Stalled: the process stood still, here or in the block; the next transfer of the connection kills it.
    """
    async with start_agent(connection, "transfer", window=MAX_WINDOW) as process:
        with contextlib.closing(TransferChannel(process)) as channel:
            try:
                await channel.begin()
                for identity in list(connection.channels.given_up):
                    await channel.kill(identity)
                    connection.channels.given_up.remove(identity)
                yield channel
            except Stalled:
                if channel.identity is not None:
                    connection.channels.given_up.append(channel.identity)
                raise
            with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
                async with asyncio.timeout(FINISH_TIMEOUT_S):
                    process.stdin.write_eof()  # the process on the host then ends by itself
                    await process.wait_closed()


def _next_frames(frames: Iterator[bytes]) -> list[bytes]:
    """The next frames, enough to be worth a change of thread; empty at the end."""
    ready, size = [], 0
    for frame in frames:
        ready.append(frame)
        size += len(frame)
        if size >= READ_AHEAD:
            break
    return ready


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    """``reply``; raises the error that it reports, if it does."""
    if "error" not in reply:
        return reply
    if reply["error"] == "full":
        missing = reply.get("missing")
        disk = sanitize_line(str(reply.get("disk")))
        raise NoRoom(DiskFull(disk, missing if isinstance(missing, int) else None), "the host")
    text = f"the host: {sanitize_line(str(reply.get('text') or 'no reason given'))}"
    raise RetryLater(text) if reply["error"] == "busy" else SyncFailed(text)


@contextlib.contextmanager
def _as_link_down() -> Generator[None, None, None]:
    try:
        yield
    except TimeoutError as error:
        raise LinkDown("the host does not answer") from error
    except (OSError, asyncssh.Error) as error:
        raise LinkDown(sanitize_line(str(error)) or "the link is down") from error
