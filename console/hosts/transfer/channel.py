"""The console's end of a transfer: one channel to the host's agent, requests in order, files as a stream of frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncssh
import msgspec
from msgspec import Struct

from console.hosts.agent.file_index import Entry, FileIndex
from console.hosts.agent.frames import MESSAGE, BadFrame, FrameDecoder, decode_message, encode_message
from console.hosts.remote.agent_package import AgentProcess, start_agent
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer.errors import NoRoom, NotNow, SyncFailed
from console.sanitize import sanitize_line


class HostFolder(Struct, frozen=True):
    """What the host said of a folder; ``staged`` is what a broken sync left on its way: name -> (bytes, SHA-256)."""

    files: list[Entry]
    refused: list[tuple[str, str]]
    staged: dict[str, tuple[int, str]]
    exists: bool

    @property
    def file_index(self) -> FileIndex:
        return FileIndex(self.files, self.refused)


WINDOW = 8 << 20  # bytes the host may send ahead: at 200 ms there and back, 40 MB/s
LEAVE_TIMEOUT_S = 2.0
AHEAD = 1 << 20  # bytes read while those before them are sent
MAX_BEHIND = 8 << 20  # bytes read and not yet on the disk


class Sink(Protocol):
    """Takes the frames of files."""

    def take(self, kind: int, payload: bytes | memoryview) -> None: ...


class TransferChannel:
    """One transfer process on the host behind one channel. Every method raises LinkDown when it is gone."""

    def __init__(self, process: AgentProcess) -> None:
        self._process = process
        self._frames = FrameDecoder()
        self._messages: deque[dict[str, Any]] = deque()
        self._reading: asyncio.Task[bytes] | None = None
        self._behind: list[bytes] = []

    async def count(self, root: str, excludes: Sequence[str] = (), *, afresh: bool = False) -> HostFolder:
        """What the host holds below ``root``; ``afresh`` trusts no hash from before.

        Raises:
            SyncFailed: the host cannot, or its answer cannot be understood.
        """
        self.post_count(root, excludes, afresh=afresh)
        return await self.counted()

    def post_count(self, root: str, excludes: Sequence[str] = (), *, afresh: bool = False) -> None:
        """Ask for a count, whose answer comes with ``counted``, in turn."""
        self.post({"op": "index", "root": root, "excludes": list(excludes), "ignore_cache": afresh})

    async def counted(self) -> HostFolder:
        """The answer to ``post_count``."""
        answer = await self.answer()
        try:
            return msgspec.convert(answer, HostFolder)
        except msgspec.ValidationError as error:
            raise SyncFailed(f"the host's list of files cannot be understood: {sanitize_line(str(error))}") from error

    def post(self, request: dict[str, Any]) -> None:
        """Send ``request``; its answer comes with ``answer``, in turn."""
        with _link_errors():
            self._process.stdin.write(encode_message(request))

    async def answer(self, sink: Sink | None = None, tick: Callable[[], None] | None = None) -> dict[str, Any]:
        """The next answer; files that come before it go to ``sink``, in a thread, while more are read.

        Raises:
            NoRoom, SyncFailed: the host will not, or cannot.
            DiskFull, OSError: ``sink`` does.
        """
        work: asyncio.Task[None] | None = None
        try:
            while not self._messages:
                if self._behind and work is None:
                    behind, self._behind = self._behind, []
                    if sink is None:
                        self._sort(behind, None)
                        continue
                    work = asyncio.create_task(asyncio.to_thread(self._sort, behind, sink))
                await self._more(work)
                if work is not None and work.done():
                    work.result()
                    work = None
                    if tick is not None:
                        tick()
        finally:
            if work is not None:
                await asyncio.gather(work, return_exceptions=True)
        return _checked(self._messages.popleft())

    async def _more(self, work: asyncio.Task[None] | None) -> None:
        """Wait until more was read or ``work`` is done; too far ahead of it, nothing more is read."""
        if work is not None and sum(map(len, self._behind)) >= MAX_BEHIND:
            await asyncio.wait({work})
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._process.stdout.read(1 << 20))
        await asyncio.wait({self._reading, *([work] if work else [])}, return_when=asyncio.FIRST_COMPLETED)
        if self._reading.done():
            reading, self._reading = self._reading, None
            with _link_errors():
                chunk = reading.result()
            if not chunk:
                raise LinkDown(self._process.last_error() or "the host's end of the transfer is gone")
            self._behind.append(chunk)

    async def stream(self, pieces: Iterator[bytes], sent: Callable[[int], None]) -> dict[str, Any]:
        """Send the frames ``pieces``, read in a thread while others travel, and the message that ends them.

        Args:
            sent: told the length of each piece when it is on its way.

        Raises:
            NoRoom, SyncFailed: the host could not take them.
        """
        early = asyncio.create_task(self.answer())
        ahead = asyncio.create_task(asyncio.to_thread(_some, pieces))
        try:
            with _link_errors():
                while (some := await ahead) and not early.done():
                    ahead = asyncio.create_task(asyncio.to_thread(_some, pieces))
                    for piece in some:
                        self._process.stdin.write(piece)
                        await self._process.stdin.drain()
                        sent(len(piece))
                if not early.done():
                    self._process.stdin.write(encode_message({"op": "end"}))
            return await early
        except LinkDown:
            return await early  # the host's own reason, if it gave one, says more
        finally:
            early.cancel()
            await asyncio.gather(early, ahead, return_exceptions=True)

    async def leave(self) -> None:
        """Say that nothing more comes, and let the host's end finish by itself."""
        with contextlib.suppress(OSError, asyncssh.Error, TimeoutError):
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                self._process.stdin.write_eof()
                await self._process.wait_closed()

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def _sort(self, chunks: list[bytes], sink: Sink | None) -> None:
        """Messages to those who wait for them, everything else to ``sink``."""
        try:
            for chunk in chunks:
                for frame in self._frames.feed(chunk):
                    if frame.kind == MESSAGE:
                        self._messages.append(decode_message(frame.payload))
                    elif sink is not None:
                        sink.take(frame.kind, frame.payload)
                    else:
                        raise BadFrame("files that nobody asked for")
        except BadFrame as error:
            raise LinkDown(f"the host's answer cannot be understood: {sanitize_line(str(error))}") from error


@asynccontextmanager
async def open_transfer(connection: HostConnection) -> AsyncIterator[TransferChannel]:
    """A transfer for the length of the block; the agent is shipped first if it is not there.

    Raises:
        LinkDown: the link failed, or the host runs another file than the one shipped.
    """
    async with start_agent(connection, "transfer", window=WINDOW) as process:
        channel = TransferChannel(process)
        try:
            process.check_hello(await channel.answer())
            yield channel
            await channel.leave()
        finally:
            channel.close()


def _some(pieces: Iterator[bytes]) -> list[bytes]:
    """The next pieces, enough to be worth a change of thread; empty at the end."""
    some, size = [], 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= AHEAD:
            break
    return some


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" not in answer:
        return answer
    if answer["error"] == "full":
        missing = answer.get("missing")
        raise NoRoom("the host", sanitize_line(str(answer.get("disk"))), missing if isinstance(missing, int) else None)
    text = f"the host: {sanitize_line(str(answer.get('text') or 'no reason given'))}"
    raise NotNow(text) if answer["error"] == "busy" else SyncFailed(text)


@contextlib.contextmanager
def _link_errors() -> Generator[None, None, None]:
    try:
        yield
    except TimeoutError as error:
        raise LinkDown("the host is silent") from error
    except (OSError, asyncssh.Error) as error:
        raise LinkDown(sanitize_line(str(error)) or "the link is down") from error
