"""One batch of files on its way to this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import Entry, HashCache
from console.hosts.agent.frames import COMPLETE, DATA, END
from console.hosts.agent.receive import Busy, Receiver, staged_files, staged_name
from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile
from console.hosts.agent.send import OutgoingFile, send_files
from console.hosts.transfer.channel import HostFolder, TransferChannel
from console.hosts.transfer.errors import NoRoom, NotNow, SyncFailed
from console.hosts.transfer.plan import SyncPlan
from console.hosts.transfer.request import SyncRequest
from console.hosts.transfer.verdict import Progress
from console.sanitize import sanitize_line


class TransferResult(Struct, frozen=True):
    """Bytes that travelled, files deleted at the target, and path -> why for each file that was not put in place."""

    failures: dict[str, str]
    bytes: int
    removed: int


def read_transfer_result(answer: dict[str, Any]) -> TransferResult:
    """The host's answer to a batch.

    Raises:
        SyncFailed: it cannot be understood.
    """
    try:
        return msgspec.convert(answer, TransferResult)
    except msgspec.ValidationError as error:
        raise SyncFailed(f"the host's answer cannot be understood: {sanitize_line(str(error))}") from error


def gone_on_with(entry: Entry, staged: Mapping[str, tuple[int, str]]) -> OutgoingFile:
    """``entry`` from the byte it came to, if that is a beginning of it; who sends it compares the hash of what came."""
    offset, prefix = staged.get(staged_name(entry), (0, ""))
    return (
        OutgoingFile(entry.path, entry.size, offset, prefix)
        if offset <= entry.size
        else OutgoingFile(entry.path, entry.size)
    )


async def fetch(
    channel: TransferChannel,
    remote: str,
    files: Sequence[Entry],
    into: Path,
    report: Callable[[Progress], None],
    *,
    aside: str | None = None,
    cache: HashCache | None = None,
) -> TransferResult:
    """Bring ``files`` of the host's folder ``remote`` below ``into``, durably; what a broken pull left is gone on from.

    Args:
        aside: folder below ``into`` where replaced files are kept; None keeps none.
        cache: remembers the hashes of big files, which are read back while they come.

    Raises:
        LinkDown, SyncFailed: as of the channel; NotNow: another pull goes on into the same folder.
        NoRoom: this machine's disk is full.
        OSError: it cannot be written to.
    """
    total = sum(entry.size for entry in files)
    try:
        with await asyncio.to_thread(SafeDir, into, True) as root:
            have = await asyncio.to_thread(staged_files, root)
            receiver = await asyncio.to_thread(Receiver, root, files, aside)
            try:
                outgoing = [gone_on_with(entry, have) for entry in files]
                done = sum(file.offset for file in outgoing)

                def tick() -> None:
                    report(Progress(len(files), total, min(total, done + receiver.bytes)))

                tick()
                channel.post({"op": "send", "root": remote, "files": outgoing})
                await channel.answer(receiver, tick)
                await asyncio.to_thread(receiver.commit)
                if cache is not None and receiver.verified:
                    cache.add(receiver.verified)
            finally:
                receiver.close()
    except DiskFull as full:
        raise NoRoom("this machine", full.disk, full.missing) from full
    except Busy as error:
        raise NotNow(sanitize_line(str(error))) from error
    except UnexpectedFile as error:
        raise SyncFailed(sanitize_line(str(error))) from error
    return TransferResult(receiver.failures, receiver.bytes, 0)


async def send(
    channel: TransferChannel,
    request: SyncRequest,
    plan: SyncPlan,
    there: HostFolder,
    report: Callable[[Progress], None],
) -> TransferResult:
    """Send what ``plan`` moves, and have the host delete what it removes; what a broken push left is gone on from.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of the channel.
    """
    outgoing = [gone_on_with(entry, there.staged) for entry in plan.move]
    done = sum(file.offset for file in outgoing)
    progress = Progress(len(plan.move), plan.size, done)

    def sent(length: int) -> None:
        nonlocal progress
        progress = Progress(progress.files, progress.bytes, min(progress.bytes, progress.bytes_done + length))
        report(progress)

    report(progress)
    channel.post({"op": "receive", "root": request.remote, "files": plan.move, "remove": plan.remove})
    with SafeDir(request.local) as root:
        return read_transfer_result(await channel.stream(send_files(root, outgoing), sent))


class Content:
    """Collects one file of at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.content = b""
        self.whole = False
        self._limit = limit

    def take(self, kind: int, payload: bytes | memoryview) -> None:
        if kind == DATA and len(self.content) <= self._limit:
            self.content += payload[: self._limit + 1 - len(self.content)]
        elif kind == END:
            self.whole = payload[0] == COMPLETE and len(self.content) <= self._limit


async def read_host_file(channel: TransferChannel, root: str, path: str, limit: int) -> bytes:
    """The content of ``path`` below the host's folder ``root``.

    Raises:
        LinkDown: the link failed.
        SyncFailed: it is not there, changes, or has more than ``limit`` bytes.
    """
    sink = Content(limit)
    channel.post({"op": "send", "root": root, "files": [OutgoingFile(path, None)]})
    await channel.answer(sink)
    if not sink.whole:
        raise SyncFailed(f"{sanitize_line(path)} cannot be read whole, or has more than {limit >> 20} MiB")
    return sink.content
