"""One batch of files on its way to this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from console.hosts.agent.census import Entry, HashCache
from console.hosts.agent.disk import DiskFull
from console.hosts.agent.intake import Intake
from console.hosts.agent.rooted import InTheWay, Rooted
from console.hosts.agent.staging import Busy, staged
from console.hosts.sync.failure import NoRoom, NotNow, SyncFailed
from console.hosts.sync.moved import Moved
from console.hosts.sync.resuming import gone_on_with
from console.hosts.sync.transfer_channel import TransferChannel
from console.hosts.sync.verdict import Progress
from console.sanitize import sanitize_line


async def fetch(
    channel: TransferChannel,
    remote: str,
    files: Sequence[Entry],
    into: Path,
    report: Callable[[Progress], None],
    *,
    aside: str | None = None,
    cache: HashCache | None = None,
) -> Moved:
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
        with await asyncio.to_thread(Rooted, into, True) as root:
            have = await asyncio.to_thread(staged, root)
            intake = await asyncio.to_thread(Intake, root, files, aside)
            try:
                outgoing = [gone_on_with(entry, have) for entry in files]
                done = sum(file.offset for file in outgoing)

                def tick() -> None:
                    report(Progress(len(files), total, min(total, done + intake.bytes)))

                tick()
                channel.post({"op": "send", "root": remote, "files": outgoing})
                await channel.answer(intake, tick)
                await asyncio.to_thread(intake.commit)
                if cache is not None and intake.read_back:
                    cache.add(intake.read_back)
            finally:
                intake.close()
    except DiskFull as full:
        raise NoRoom("this machine", full.disk, full.missing) from full
    except Busy as error:
        raise NotNow(sanitize_line(str(error))) from error
    except InTheWay as error:
        raise SyncFailed(sanitize_line(str(error))) from error
    return Moved(intake.failures, intake.bytes, 0)
