"""One batch of files over a transfer channel, in either direction; an interrupted batch is resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import Entry, HashCache
from console.hosts.agent.frames import COMPLETE, DATA, END
from console.hosts.agent.receive import Busy, Receiver, staged_files, staged_name
from console.hosts.agent.safe_dir import SafeDir, UnexpectedFile
from console.hosts.agent.send import OutgoingFile, send_files
from console.hosts.transfer.channel import HostFolder, TransferChannel
from console.hosts.transfer.errors import NoRoom, RetryLater, SyncFailed
from console.hosts.transfer.plan import SyncPlan
from console.hosts.transfer.request import SyncRequest
from console.hosts.transfer.verdict import Progress, Report
from console.sanitize import sanitize_line
from engine.contract.validation_words import error_in_words


class TransferResult(Struct, frozen=True):
    """Result of one batched transfer.

    Attributes:
        failures: path -> reason, of each file that was not put in place.
        bytes: what crossed the link.
        removed: files deleted at the target.
    """

    failures: dict[str, str]
    bytes: int
    removed: int


async def fetch(
    channel: TransferChannel,
    remote: str,
    files: Sequence[Entry],
    into: Path,
    report: Report,
    *,
    aside: str | None = None,
    cache: HashCache | None = None,
) -> TransferResult:
    """Copy ``files`` of the host's folder ``remote`` into the local folder ``into``, durably.

    Args:
        aside: folder below ``into`` that keeps replaced files; None keeps none.
        cache: receives the hashes of big files, which are read back from the disk while they arrive.

    Raises:
        LinkDown, SyncFailed: as of the channel.
        RetryLater: another sync writes into the same folder.
        NoRoom: this machine's disk is full.
        OSError: the folder cannot be written to.
    """
    total = sum(entry.size for entry in files)
    try:
        with await asyncio.to_thread(SafeDir, into, True) as root:
            already_staged = await asyncio.to_thread(staged_files, root)
            receiver = await asyncio.to_thread(Receiver, root, files, aside)
            with closing(receiver):
                outgoing = [_resume_file(entry, already_staged) for entry in files]
                resumed_bytes = sum(file.offset for file in outgoing)

                def on_progress() -> None:
                    report(Progress(len(files), total, min(total, resumed_bytes + receiver.bytes)))

                on_progress()
                channel.send_request({"op": "send", "root": remote, "files": outgoing})
                await channel.read_reply(receiver.take, on_progress)
                await asyncio.to_thread(receiver.commit)
                if cache is not None and receiver.verified:
                    cache.add(receiver.verified)
    except DiskFull as full:
        raise NoRoom(full) from full
    except Busy as error:
        raise RetryLater(sanitize_line(str(error))) from error
    except UnexpectedFile as error:
        raise SyncFailed(sanitize_line(str(error))) from error
    return TransferResult(receiver.failures, receiver.bytes, 0)


async def send(
    channel: TransferChannel, request: SyncRequest, plan: SyncPlan, remote: HostFolder, report: Report
) -> TransferResult:
    """Send the files that ``plan`` transfers to the host, and delete there the files that it removes.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of the channel.
    """
    outgoing = [_resume_file(entry, remote.staged) for entry in plan.transfer]
    size, done = plan.size, sum(file.offset for file in outgoing)

    def on_sent(length: int) -> None:
        nonlocal done
        done += length  # frame headers count as well, so that the sum may exceed the size
        report(Progress(len(outgoing), size, min(size, done)))

    on_sent(0)
    channel.start_batch({"op": "receive", "root": request.remote, "files": plan.transfer, "remove": plan.remove})
    with SafeDir(request.local) as root:
        reply = await channel.stream_files(send_files(root, outgoing), on_sent)
    try:
        return msgspec.convert(reply, TransferResult)
    except msgspec.ValidationError as error:
        raise SyncFailed(f"the host's reply cannot be read: {sanitize_line(error_in_words(error))}") from error


async def read_host_file(channel: TransferChannel, root: str, path: str, limit: int) -> bytes:
    """Content of the file ``path`` below the host's folder ``root``.

    Raises:
        LinkDown: the link failed.
        SyncFailed: it is missing, changes while it is read, or has more than ``limit`` bytes.
    """
    content, is_complete = b"", False

    def take(kind: int, payload: bytes | memoryview) -> None:
        nonlocal content, is_complete
        if kind == DATA and len(content) <= limit:
            content += payload[: limit + 1 - len(content)]
        elif kind == END:
            is_complete = payload[0] == COMPLETE and len(content) <= limit

    channel.send_request({"op": "send", "root": root, "files": [OutgoingFile(path, None)]})
    await channel.read_reply(take)
    if not is_complete:
        raise SyncFailed(f"{sanitize_line(path)} cannot be read whole, or has more than {limit >> 20} MiB")
    return content


def _resume_file(entry: Entry, staged: Mapping[str, tuple[int, str]]) -> OutgoingFile:
    """``entry`` from the byte where an interrupted batch ended.

    The sender compares the hash of the staged bytes with its own file's, and starts at 0 if they differ.
    """
    offset, prefix = staged.get(staged_name(entry), (0, ""))
    if offset > entry.size:
        return OutgoingFile(entry.path, entry.size)
    return OutgoingFile(entry.path, entry.size, offset, prefix)
