"""One batch of files on its way to the host."""

from __future__ import annotations

from collections.abc import Callable

from console.hosts.agent.outflow import Outgoing, outflow
from console.hosts.agent.rooted import Rooted
from console.hosts.agent.staging import staged_name
from console.hosts.sync.moved import Moved, read_moved
from console.hosts.sync.plan import SyncPlan
from console.hosts.sync.request import SyncRequest
from console.hosts.sync.transfer_channel import HostFolder, TransferChannel
from console.hosts.sync.verdict import Progress


async def send(
    channel: TransferChannel,
    request: SyncRequest,
    plan: SyncPlan,
    there: HostFolder,
    report: Callable[[Progress], None],
) -> Moved:
    """Send what ``plan`` moves, and have the host delete what it removes; what a broken push left is gone on from.

    Raises:
        LinkDown, NoRoom, SyncFailed: as of the channel.
    """
    outgoing, done = [], 0
    for entry in plan.move:
        offset, prefix = there.staged.get(staged_name(entry), (0, ""))
        if offset > entry.size:
            offset, prefix = 0, ""
        outgoing.append(Outgoing(entry.path, entry.size, offset, prefix))
        done += offset
    progress = Progress(len(plan.move), plan.size, done)

    def sent(length: int) -> None:
        nonlocal progress
        progress = Progress(progress.files, progress.bytes, min(progress.bytes, progress.bytes_done + length))
        report(progress)

    report(progress)
    channel.post({"op": "receive", "root": request.remote, "files": plan.move, "remove": plan.remove})
    with Rooted(request.local) as root:
        return read_moved(await channel.stream(outflow(root, outgoing), sent))
